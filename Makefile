# The whole developer interface. Each target sets up what it needs: a machine with Python 3.11+, pip and make is enough.
#
#   make demo    install the core and run the main job
#   make test    everything that must hold before a change is merged
#   make soak    the long versions of the bounded checks
#   make lint, make types, make clean
#
# Variables: PYTHON (the interpreter that builds the virtual environment), VENV, JOBS (test processes), TORCH (what to
# install as torch; empty takes whatever the extras ask for).

VENV ?= .venv
JOBS ?= 2
TORCH ?= torch==2.13.0
PYTHON ?= $(shell for p in python3 python3.11 python3.12 python3.13 python3.14 python; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)

BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install -qq --no-input --disable-pip-version-check
CORE := $(VENV)/.core.stamp
DEV := $(VENV)/.dev.stamp
export PIP_ROOT_USER_ACTION = ignore
# one thread a process: the tests run in $(JOBS) processes, and small arrays lose by being split
export OMP_NUM_THREADS = 1
# how many processes mypy checks in, where it can: a clean clone has no cache, and one process would leave a core idle
export MYPY_NUM_WORKERS = $(JOBS)

.DELETE_ON_ERROR:
.PHONY: demo test soak lint types imports unit wheel clean
.NOTPARALLEL:

demo: $(CORE)
	$(BIN)/agentmesh demo

test: lint types imports unit wheel

lint: $(DEV)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: $(DEV)
	$(BIN)/mypy agentmesh examples

imports: $(DEV)
	$(BIN)/lint-imports

# compiled first: where Python is told to keep no bytecode, each of the many processes would compile the package anew
unit: $(DEV)
	$(BIN)/python -m compileall -q agentmesh
	$(BIN)/python -m pytest -n $(JOBS) --cov --cov-report=term

wheel: $(DEV)
	sh .ci/test_wheel.sh $(BIN)/python

soak: $(DEV)
	$(BIN)/python -m pytest -m soak --timeout=3600

clean:
	rm -rf $(VENV) build dist htmlcov .coverage .coverage.* .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find agentmesh tests examples benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/pyvenv.cfg:
	@test -n "$(PYTHON)" || { echo "agentmesh needs Python 3.11 or newer; none was found. Name one: make PYTHON=/path/to/python" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

# a stamp is touched only after pip succeeded, so that an interrupted install is taken up again
$(CORE): $(VENV)/pyvenv.cfg pyproject.toml
	@echo "installing the core into $(VENV): about a minute"
	@$(PIP) --editable .
	@touch $@

$(DEV): $(VENV)/pyvenv.cfg pyproject.toml
	@echo "installing everything into $(VENV), torch among it: some minutes"
	@$(if $(TORCH),$(PIP) '$(TORCH)')
	@$(PIP) --editable '.[all,dev]'
	@touch $@ $(CORE)
