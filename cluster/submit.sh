#!/usr/bin/env bash
# cluster/submit.sh NAME -- python -m training.run --config FILE [key.sub=value ...]
#
# Submits a job to a running Ray cluster under the id NAME, follows its log and ends with its status (0: succeeded).
# The cluster is that of RAY_API_SERVER_ADDRESS (http://HEAD:8265) or RAY_ADDRESS; its token lies in ~/.ray/auth_token
# or RAY_AUTH_TOKEN. The code of this folder is uploaded, runs/ and models/ are not: recipes need absolute paths, on
# storage that all nodes share. Ctrl-C stops following, not the job.
set -euo pipefail
cd "$(dirname "$0")/.."
command -v ray >/dev/null || PATH="$PWD/.venv/bin:$PATH"

fail() {
  echo "submit.sh: $1" >&2
  exit 2
}

if [ $# -lt 3 ] || [ "$2" != "--" ]; then
  fail "usage: cluster/submit.sh NAME -- COMMAND [ARGUMENT ...]"
fi
name=$1
shift 2
[[ $name =~ ^[A-Za-z0-9][A-Za-z0-9_.-]*$ ]] || fail "NAME is '$name'; it may hold letters, digits, '.', '_' and '-'"
address=${RAY_API_SERVER_ADDRESS:-${RAY_ADDRESS:-}}
[ -n "$address" ] || fail "no cluster: set RAY_API_SERVER_ADDRESS=http://HEAD:8265 (on this machine: cluster/start.sh)"

# Without a token first: whoever is let in so could run anything there.
if said=$(RAY_AUTH_MODE=disabled ray job list 2>&1); then
  fail "the cluster at $address lets in anybody without a token; stop it (ray stop) and start it with cluster/start.sh"
fi
grep -q "Authentication required" <<<"$said" ||
  fail "no Ray cluster answers at $address; start one with cluster/start.sh, or correct RAY_API_SERVER_ADDRESS"

export RAY_AUTH_MODE=token
token=${RAY_AUTH_TOKEN_PATH:-~/.ray/auth_token}
[ -z "${RAY_AUTH_TOKEN:-}" ] || token=RAY_AUTH_TOKEN
if ! jobs=$(ray job list 2>&1); then
  case $jobs in
    *"Authentication failed"*) fail "wrong token: that in $token is not that of the cluster at $address" ;;
    *"find an authentication token"*) fail "no token: put that of the cluster at $address into $token" ;;
  esac
  fail "the cluster at $address does not list its jobs: $(grep . <<<"$jobs" | tail -n 1)"
fi
if grep -qF "submission_id='$name'" <<<"$jobs"; then
  fail "the cluster has a job '$name' already; take another NAME, or: ray job logs --follow $name | ray job stop $name"
fi
exec ray job submit --submission-id "$name" --working-dir . --runtime-env cluster/runtime_env.yaml \
  --entrypoint-num-cpus 0 -- "$@"
