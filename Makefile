# rnnscope: a new user needs `make all` and `make test`; the rest is for work on it.
# PYTHON=... chooses the interpreter; by default the first fitting one on the PATH.

VENV := .venv
OLDEST := .venv-oldest
RUN := $(VENV)/bin/python
RNNSCOPE := $(VENV)/bin/rnnscope
FITS := import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))
PYTHON ?= $(shell for python in python3 python3.13 python3.12 python3.11; do \
	$$python -c '$(FITS)' 2>/dev/null && echo $$python && break; done)
ARGS ?=
# ARGS="-n 0" runs tests in one process; by default tests/conftest.py says how many. Where their
# fixtures take long (a cluster, whole runs), a module stays on one worker, the longest first.
WORKERS := -n auto
QUICK := --dist worksteal -m "not process and not cluster and not readme and not slow"
EVERY := --dist loadscope --no-loadscope-reorder

.PHONY: all sweep check test test-oldest torture proof bench lint format lock reference clean help

all: $(VENV)/installed ## install if needed, then run every stage: make all ARGS="experiment=seed"
	@$(RNNSCOPE) $(ARGS)

sweep: $(VENV)/installed ## every job of a sweep kept in conf/experiment: make sweep E=widths ARGS="hydra/launcher=slurm"
	@test -n "$(E)" || { echo "make sweep E=name: name a file of conf/experiment, such as widths" >&2; exit 2; }
	@$(RNNSCOPE) -m experiment=$(E) $(ARGS)

check: lint ## lint, types and the quick tests, in minutes: make check ARGS="-k trace"
	$(RUN) -m pytest $(WORKERS) $(QUICK) $(ARGS)

test: $(VENV)/installed-dev ## every test: make test ARGS="-k trace"
	$(RUN) -m pytest $(WORKERS) $(EVERY) $(ARGS)

# Old packages deprecate what they use of one another, which is no fault of this code.
test-oldest: $(VENV)/installed-dev ## the quick tests with the oldest versions that pyproject.toml allows
	$(RUN) -m uv venv --quiet --allow-existing --python $(RUN) $(OLDEST)
	$(RUN) -m uv pip install --quiet --python $(OLDEST) --resolution lowest-direct -e '.[dev]'
	$(OLDEST)/bin/python -m pytest $(WORKERS) $(QUICK) -W ignore::DeprecationWarning $(ARGS)

torture: $(VENV)/installed-dev ## break it on purpose, an hour: make torture ARGS="--only damage --tries 5"
	$(RUN) -m tests.torture $(ARGS)

proof: $(VENV)/installed-dev ## measure networks whose inner workings are known: make proof ARGS="--seeds 5"
	$(RUN) -m tests.proof $(ARGS)

# PyTorch and onnxruntime are contenders only where they can be imported: the first line installs
# them if it can, and the benchmark goes on without them if not.
bench: $(VENV)/installed-dev ## speed and memory beside Keras, PyTorch and ONNX: make bench ARGS="--only parquet"
	-@$(RUN) -m pip install --quiet --disable-pip-version-check -c requirements.lock -e '.[bench]'
	$(RUN) -m tests.benchmarks $(ARGS)

lint: $(VENV)/installed-dev ## formatting, lint and types, as CI checks them
	$(RUN) -m ruff format --check .
	$(RUN) -m ruff check .
	$(RUN) -m mypy

format: $(VENV)/installed-dev ## put formatting and imports in order
	$(RUN) -m ruff format .
	$(RUN) -m ruff check --fix .

reference: $(VENV)/installed ## write the references of tables and options
	$(RUN) -m rnnscope.stages.reference

lock: $(VENV)/installed-dev ## resolve requirements.lock anew from pyproject.toml
	$(RUN) -m uv pip compile --universal --python-version 3.11 --fork-strategy fewest --all-extras --upgrade \
		--no-emit-index-url --no-emit-find-links --no-header --no-annotate \
		pyproject.toml -o requirements.lock

clean: ## delete outputs/ and caches; the environment stays
	find outputs -mindepth 1 -maxdepth 1 -not -name .gitignore -not -name README.md -exec rm -rf {} +
	rm -rf .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find pipeline tests -name __pycache__ -prune -exec rm -rf {} +

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# Stamps: an installation is redone when what it was made from has changed.
$(VENV)/installed: pyproject.toml requirements.lock | $(RUN)
	$(RUN) -m pip install --quiet --disable-pip-version-check -c requirements.lock -e .
	@touch $@

$(VENV)/installed-dev: $(VENV)/installed
	$(RUN) -m pip install --quiet --disable-pip-version-check -c requirements.lock -e '.[dev]'
	@$(RUN) -m pip install --quiet --disable-pip-version-check -c requirements.lock -e '.[torch,dsa]' \
		|| echo "PyTorch and dsa-metric are not installed: the tests against them are left out" >&2
	@touch $@

$(RUN):
	@test -n "$(PYTHON)" || { echo "rnnscope needs Python 3.11, 3.12 or 3.13; none is on the PATH (PYTHON=... names one)" >&2; exit 2; }
	$(PYTHON) -m venv $(VENV)
