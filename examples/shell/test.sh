#!/bin/sh
# Tests the sender against a real ingress. HEADRACE_STACK names the directory of a running stack to use.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
cluster=5eed0000-0000-4000-8000-000000000002
type=application/vnd.redhat.openshift.periodic

fail() {
    echo "FAIL $*" >&2
    exit 1
}

if [ -n "${HEADRACE_STACK:-}" ]; then
    export HEADRACE_DIRECTORY="$HEADRACE_STACK"
    trap 'rm -rf "$work"' EXIT
else
    export HEADRACE_DIRECTORY="$work/stack"
    # It stops with this script, however that ends.
    headrace up --detach --port-base 0 --while $$
    trap 'headrace down; rm -rf "$work"' EXIT
fi
ingress=$(headrace urls --json | sed -n '/"ingress": {/,/}/s/.*"url": "\(.*\)".*/\1/p')

# An archive arrives: every service that takes it reports success.
mkdir "$work/config"
printf %s "$cluster" > "$work/config/id"
tar -czf "$work/archive.tar.gz" -C "$work" config
request_id=$("$here/sender.sh" "$ingress/api/ingress/v1/upload" "$type" "$cluster" "$work/archive.tar.gz")
headrace trace "$request_id" --follow --type "$type" --within 60 || fail "the archive did not arrive"
echo "PASS an archive arrives"

# A refusal says why.
if said=$("$here/sender.sh" "$ingress/api/ingress/v1/upload" text/plain "$cluster" "$here/sender.sh" 2>&1); then
    said=$(headrace trace "$said" --follow --type cost --within 60 2>&1) && fail "a script passed for usage data"
fi
case $said in
*"neither a gzip-compressed tar nor a ROS CSV"*) echo "PASS a wrong file fails with its reason" ;;
*) fail "unexpected: $said" ;;
esac
