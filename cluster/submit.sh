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
[ -n "$address" ] || fail "no cluster: set RAY_API_SERVER_ADDRESS=http://HEAD:8265 (on this machine: ray start --head)"

if ! jobs=$(ray job list 2>&1); then
  echo "$jobs" | tail -n 3 >&2
  fail "no Ray cluster answers at $address; is it running, and is its token in ~/.ray/auth_token or RAY_AUTH_TOKEN?"
fi
if grep -qF "submission_id='$name'" <<<"$jobs"; then
  fail "the cluster has a job '$name' already; take another NAME, or: ray job logs --follow $name | ray job stop $name"
fi
exec ray job submit --submission-id "$name" --working-dir . --runtime-env cluster/runtime_env.yaml \
  --entrypoint-num-cpus 1 -- "$@"
