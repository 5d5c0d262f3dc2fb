# Three commands matter: `make demo`, `make test` and `make test-all`. Each installs what it needs into .venv first.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
# Programs are called as modules of Python: a script's first line cannot name an interpreter whose path has a blank.
RUN := $(BIN)/python -m
PYTEST_WORKERS ?= auto
PYTEST = $(RUN) pytest -n $(PYTEST_WORKERS) --dist worksteal --durations 15
# bqemulator needs Python 3.11 or later.
EMULATORS_PYTHON ?= $(PYTHON)
# The emulators of BigQuery and Cloud Storage live apart: their dependencies do not resolve beside dagster-dbt's.
EMULATORS := .venv-emulators
EMULATORS_INSTALLED := $(EMULATORS)/.installed

.DEFAULT_GOAL := help
.PHONY: help install demo dev docs reference test test-all lint format constraints emulators emulator-constraints clean

help: ## List these targets.
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk 'BEGIN {FS = ":.*## "} {printf "  make %-21s %s\n", $$1, $$2}'

install: $(INSTALLED) ## Create .venv with the pinned dependencies (the other targets do it by themselves).

# uv installs in seconds; where it cannot reach the registry that pip is set up for, pip does the same more slowly.
# All is compiled once, here: containers often set PYTHONDONTWRITEBYTECODE, and then each of Dagster's processes would
# compile all its imports again (2 of 4 seconds).
$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(0 if (3, 10) <= v <= (3, 13) else "Python 3.10 to 3.13 is needed, this is %d.%d: call make PYTHON=python3.12 ..." % v)'
	@echo "Installing into $(VENV) (once) ..."
	@$(PYTHON) -m venv --clear $(VENV)
	@$(RUN) pip install --quiet --disable-pip-version-check --constraint constraints.txt uv
	@$(RUN) uv pip install --python "$(CURDIR)/$(BIN)/python" --quiet --compile-bytecode --constraint constraints.txt --editable '.[dev]' \
		|| $(RUN) pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@$(RUN) compileall -q braze_platform
	@touch $@

emulators: $(EMULATORS_INSTALLED) ## Create .venv-emulators, for the tests of the BigQuery target (make test does it by itself).

# The two extensions of DuckDB come as packages and are copied to where the emulator looks for them: no download.
# Google's analyser of GoogleSQL comes as WebAssembly and is compiled once, here.
$(EMULATORS_INSTALLED): $(INSTALLED) tests/emulators/constraints.txt
	@echo "Installing the emulators into $(EMULATORS) (once) ..."
	@$(EMULATORS_PYTHON) -m venv --clear $(EMULATORS)
	@$(RUN) uv pip install --python "$(CURDIR)/$(EMULATORS)/bin/python" --quiet --compile-bytecode --requirement tests/emulators/constraints.txt \
		|| $(EMULATORS)/bin/python -m pip install --quiet --disable-pip-version-check --requirement tests/emulators/constraints.txt
	@mkdir $(EMULATORS)/home
	@HOME="$(CURDIR)/$(EMULATORS)/home" $(EMULATORS)/bin/python -c "from duckdb_extensions import import_extension as i; i('spatial'); i('avro')"
	@PYTHONPATH=tests $(BIN)/python -c "import googlesql; googlesql.compile_analyzer()"
	@touch $@

demo: $(INSTALLED) ## Run the whole loop on this machine, twice round, sum it up and leave the UI at localhost:3000.
	@$(RUN) braze_platform demo

dev: $(INSTALLED) ## Open the Dagster UI on the data that is there (localhost:3000).
	@$(RUN) braze_platform dev

docs: $(INSTALLED) ## Write dbt's documentation of all models and syncs as one page of HTML.
	@$(RUN) braze_platform docs

reference: $(INSTALLED) ## Write what the code can tell: dbt's files of event types, pages of docs/reference.
	@$(RUN) docs.reference.dbt_files
	@$(RUN) docs.reference.generate

# Types are checked on one core while the tests begin.
test: $(INSTALLED) $(EMULATORS_INSTALLED) ## Check style and types, and run the quick tests: a slice of everything.
	@$(MAKE) --no-print-directory --jobs=2 lint quick-tests

quick-tests: $(INSTALLED) $(EMULATORS_INSTALLED)
	@$(PYTEST) -m 'not full'

# CI has just run the first part: `make --assume-old=test test-all` runs the second alone.
test-all: test ## Run all tests: the quick ones, then those marked `full` (whole matrices, loops and builds).
	@$(PYTEST) -m full

lint: $(INSTALLED)
	@$(RUN) ruff check .
	@$(RUN) deptry --no-ansi .
	@$(RUN) ruff format --check --quiet .
	@$(RUN) sqlfmt --check --quiet dbt_project
	@$(RUN) mypy
	@$(BIN)/python -c "from importlinter.cli import lint_imports; raise SystemExit(lint_imports(no_cache=True, no_logo=True))"

format: $(INSTALLED) ## Format Python and SQL.
	@$(RUN) ruff check --fix .
	@$(RUN) ruff format .
	@$(RUN) sqlfmt dbt_project

constraints: $(INSTALLED) ## Resolve the newest versions that fit pyproject.toml into constraints.txt.
	@echo "# Exact versions for every supported Python; regenerate with 'make constraints'. Versions only, never addresses." > constraints.new
	@$(RUN) uv pip compile --quiet --universal --python-version 3.10 --all-extras --no-header --no-annotate --no-emit-index-url pyproject.toml >> constraints.new
	@mv constraints.new constraints.txt

emulator-constraints: $(INSTALLED) ## Resolve tests/emulators/requirements.txt into constraints.txt beside it.
	@echo "# Exact versions of the emulators' environment; regenerate with 'make emulator-constraints'. Versions only." > constraints.new
	@$(RUN) uv pip compile --quiet --universal --python-version 3.11 --no-header --no-annotate --no-emit-index-url tests/emulators/requirements.txt >> constraints.new
	@mv constraints.new tests/emulators/constraints.txt

clean: ## Remove all that was made: the environment, the demo's data, caches.
	@rm -rf $(VENV) $(EMULATORS) .braze_platform .braze_platform.lock *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis build dist
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
