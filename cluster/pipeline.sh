#!/usr/bin/env bash
# cluster/pipeline.sh NAME [RECIPES] [SERVE]
#
# prepare -> tune -> train -> evaluate as jobs NAME-prepare ... NAME-evaluate on a running cluster, then the service.
# RECIPES (default cluster/configs) holds prepare.yaml, tune.yaml and evaluate.yaml; what is trained is the best recipe
# of the search. SERVE (default cluster/serve.yaml) is deployed with the artifact that evaluate wrote.
# After a failure start it again with another NAME: what is complete is passed over, what was cut short goes on.
set -euo pipefail
cd "$(dirname "$0")/.."
command -v ray >/dev/null || PATH="$PWD/.venv/bin:$PATH"

if [ $# -lt 1 ] || [ $# -gt 3 ]; then
  echo "usage: cluster/pipeline.sh NAME [RECIPES] [SERVE]" >&2
  exit 2
fi
name=$1 recipes=${2:-cluster/configs} serve=${3:-cluster/serve.yaml}

# Value of a key at the top level of a recipe.
value() {
  local line
  line=$(sed -n "s/^$2: *//p" "$1")
  line=${line%%#*}
  echo "${line%"${line##*[![:space:]]}"}"
}

for stage in prepare tune evaluate; do
  [ -f "$recipes/$stage.yaml" ] || { echo "pipeline.sh: $recipes/$stage.yaml does not exist" >&2; exit 2; }
done
search=$(value "$recipes/tune.yaml" output)
artifact=$(value "$recipes/evaluate.yaml" output)/artifact
events=$(value "$recipes/evaluate.yaml" data)

cluster/submit.sh "$name-prepare" -- python -m training.prepare --config "$recipes/prepare.yaml"
cluster/submit.sh "$name-tune" -- python -m tuning.run --config "$recipes/tune.yaml"
cluster/submit.sh "$name-train" -- python -m training.run --config "$search/best.yaml"
cluster/submit.sh "$name-evaluate" -- python -m training.evaluate --config "$recipes/evaluate.yaml"

deployed=$(mktemp)
trap 'rm -f "$deployed"' EXIT
sed -e "s#^\( *artifact:\).*#\1 $artifact#" -e "s#^\( *events:\).*#\1 $events#" "$serve" >"$deployed"
serve deploy --address "${RAY_API_SERVER_ADDRESS:?the dashboard of the cluster, http://HEAD:8265}" "$deployed"
echo "deploying $artifact; follow it with: serve status --address $RAY_API_SERVER_ADDRESS"
