#!/usr/bin/env bash
# cluster/start.sh [OPTION OF ray start ...]
#
# Starts a Ray cluster of this machine: the head of a cluster, guarded by a token, its dashboard on loopback. Runs in
# the background; with --block in the foreground, where Ctrl-C ends this cluster alone. Other useful options:
# --port=6380 --dashboard-port=8266 beside another cluster, --num-cpus=N, --num-gpus=N.
set -euo pipefail
cd "$(dirname "$0")/.."
command -v ray >/dev/null || PATH="$PWD/.venv/bin:$PATH"

fail() {
  echo "start.sh: $1" >&2
  exit 2
}

dashboard=8265 stop="ray stop        (ends ALL Ray of this user on this machine, not this cluster alone)" is_blocking=
for option in "$@"; do
  case $option in
    --dashboard-port=*) dashboard=${option#*=} ;;
    --dashboard-port | --dashboard-host*) fail "say --dashboard-port=NUMBER; the dashboard stays on 127.0.0.1" ;;
    --block) is_blocking=yes stop="Ctrl-C here     (ends this cluster alone)" ;;
  esac
done

if (: <"/dev/tcp/127.0.0.1/$dashboard") 2>/dev/null; then # Ray would start, but without its dashboard
  fail "port $dashboard is taken; is a cluster running already? Else choose: --dashboard-port=NUMBER"
fi

tell_what_is_next() {
  cat <<LINES
submit     export RAY_API_SERVER_ADDRESS=http://127.0.0.1:$dashboard; cluster/submit.sh NAME -- python -m training.run --config FILE
dashboard  http://127.0.0.1:$dashboard   (asks for the token: ray get-auth-token)
stop       $stop
LINES
}

# The token lies in ~/.ray/auth_token, or is what RAY_AUTH_TOKEN or RAY_AUTH_TOKEN_PATH say. It is not printed.
export RAY_AUTH_MODE=token
(umask 077 && ray get-auth-token --generate >/dev/null 2>&1) || fail "ray get-auth-token --generate failed; try it by hand"

# What Serve's processes read where they start: the flags of `make serve`.
[ "$(uname -s)" != Linux ] || export RAY_SERVE_ENABLE_HA_PROXY=1
export RAY_SERVE_THROUGHPUT_OPTIMIZED=1 RAY_SERVE_DIRECT_INGRESS_MIN_DRAINING_PERIOD_S=1
export RAY_SERVE_PROXY_READY_CHECK_TIMEOUT_S=60
export PYTHONPATH="$PWD${PYTHONPATH:+:$PYTHONPATH}" # a deployed service runs the code of this folder

# Ray's CPUs are bookkeeping: with fewer than four, training and a service would not fit side by side.
cpus=$(getconf _NPROCESSORS_ONLN)
command=(ray start --head --num-cpus=$((cpus > 4 ? cpus : 4)) --dashboard-host=127.0.0.1 --dashboard-port="$dashboard"
  --disable-usage-stats "$@")

if [ -n "$is_blocking" ]; then
  tell_what_is_next
  exec "${command[@]}"
fi
if ! said=$("${command[@]}" 2>&1); then
  fail "Ray did not start: $(grep . <<<"$said" | tail -n 1)"
fi
tell_what_is_next
