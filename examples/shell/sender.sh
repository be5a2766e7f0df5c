#!/bin/sh
# A sender: uploads an archive as the operator of a cluster and prints the request id.
# Usage: sender.sh URL CONTENT_TYPE CLUSTER_ID FILE
set -eu
url=$1 type=$2 cluster=$3 file=$4

request_id=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')
# curl waits as long as Retry-After asks for after 429 and 503; the request id stays, so a repetition is recognised.
answer=$(curl --silent --show-error --fail-with-body --retry 3 --max-time 60 \
    --form "file=@$file;type=$type" \
    --header "Authorization: Bearer ${TOKEN:-any}" \
    --header "x-rh-insights-request-id: $request_id" \
    --user-agent "insights-operator/example cluster/$cluster" \
    "$url") || { echo "not sent: $answer" >&2; exit 1; }
echo "$request_id"
