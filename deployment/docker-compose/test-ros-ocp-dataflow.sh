#!/bin/bash
# The data flow test by the name that the ROS-OCP document prints. It starts the stack where none runs, waits until every
# service answers, and checks the flow from the upload to the recommendations, one line a step.
set -euo pipefail

usage() {
  cat <<TEXT
usage: $0 [COMMAND]

  (none)            start what is not running, wait for it, check the flow
  status            how every container is
  logs [SERVICE]    what all of them, or one, have logged; of one it goes on until Ctrl-C
  cleanup, stop     stop and remove them, with their data
  help              this

It works on containers (compose.yaml, whose variables it takes from the environment or .env: INGRESS_PORT,
MINIO_ACCESS_KEY, MINIO_SECRET_KEY …) and, where there is no container engine, on the local stack.
STACK=compose or STACK=local chooses, WAIT=SECONDS says how long services may take to answer (300),
CONTAINER_ENGINE=docker names another engine than podman.
It ends with 0 when every step passed, with 1 at the first that failed, with 2 when it was not understood.
TEXT
}

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
cd "$root"
headrace=$root/.venv/bin/headrace
engine=${CONTAINER_ENGINE:-podman}
composer=(podman-compose)
if [[ ${engine##*/} == docker ]]; then composer=("$engine" compose); fi
# `make install` brings podman-compose along; one that is on PATH comes first.
PATH=$PATH:$root/.venv/bin
export PATH

stand_in=$(command -v podman-compose || true)
if [[ $stand_in == */bin/as-printed/podman-compose ]]; then
  # The local stack's own, which knows where its stack is.
  export HEADRACE_DIRECTORY=${stand_in%/bin/as-printed/podman-compose}
  stack=${STACK:-local}
elif command -v "$engine" >/dev/null; then
  stack=${STACK:-compose}
else
  stack=${STACK:-local}
fi
if [[ $stack != compose && $stack != local ]]; then
  echo "$0: STACK is $stack, expected compose or local" >&2
  exit 2
fi

# What podman-compose understands, said to whichever stack it is.
compose() {
  if [[ $stack == compose ]]; then
    deploy/podman/run "${composer[@]}" "$@"
    return
  fi
  case $1 in
    up) "$headrace" up --detach ;;
    ps) "$headrace" status ;;
    logs) "$headrace" "$@" ;;
    down) "$headrace" down ;;
  esac
}

start() {
  make --no-print-directory install
  if [[ $stack == compose ]]; then
    make --no-print-directory passwords
    # One that is named is pulled or there; ours is built here.
    if [[ -z ${HEADRACE_IMAGE-} ]] && ! grep -qs '^HEADRACE_IMAGE=' .env &&
      ! deploy/podman/run "$engine" image inspect localhost/headrace:latest >/dev/null 2>&1; then
      make --no-print-directory image
    fi
  fi
  compose up -d
}

check() {
  echo "the stack: $stack"
  start
  make --no-print-directory dataflow STACK="$stack" WAIT="${WAIT:-300}" || return 1
  compose ps
  echo "every step passed; the services are still running, '$0 cleanup' stops them"
}

case ${1-} in
  "") check ;;
  status) compose ps ;;
  logs) if [[ -n ${2-} ]]; then compose logs -f "$2"; else compose logs; fi ;;
  cleanup | stop) compose down -v ;;
  help | -h | --help) usage ;;
  *)
    echo "$0: $1 is no command" >&2
    usage >&2
    exit 2
    ;;
esac
