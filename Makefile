# Two commands matter: `make demo` and `make test`. Each installs what it needs into .venv first.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
PYTEST_WORKERS ?= auto

.DEFAULT_GOAL := help
.PHONY: help install demo dev test lint format constraints clean

help: ## List these targets.
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | awk 'BEGIN {FS = ":.*## "} {printf "  make %-12s %s\n", $$1, $$2}'

install: $(INSTALLED) ## Create .venv with the pinned dependencies (the other targets do it by themselves).

# uv installs in seconds; where it cannot reach the registry that pip is set up for, pip does the same more slowly.
$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(0 if (3, 10) <= v <= (3, 13) else "Python 3.10 to 3.13 is needed, this is %d.%d: call make PYTHON=python3.12 ..." % v)'
	@echo "Installing into $(VENV) (once) ..."
	@$(PYTHON) -m venv --clear $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt uv
	@VIRTUAL_ENV=$(abspath $(VENV)) $(BIN)/uv pip install --quiet --constraint constraints.txt --editable '.[dev]' \
		|| $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@touch $@

demo: $(INSTALLED) ## Run the whole loop on this machine, twice round, sum it up and leave the UI at localhost:3000.
	@$(BIN)/braze-platform demo

dev: $(INSTALLED) ## Open the Dagster UI on the data that is there (localhost:3000).
	@$(BIN)/braze-platform dev

test: $(INSTALLED) lint ## Check style and types, then run all tests.
	@$(BIN)/pytest -n $(PYTEST_WORKERS) --dist loadgroup --durations 10

lint: $(INSTALLED)
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/sqlfmt --check --quiet dbt_project
	@$(BIN)/mypy

format: $(INSTALLED) ## Format Python and SQL.
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .
	@$(BIN)/sqlfmt dbt_project

constraints: $(INSTALLED) ## Resolve the newest versions that fit pyproject.toml into constraints.txt.
	@echo "# Exact versions for every supported Python; regenerate with 'make constraints'. Versions only, never addresses." > constraints.new
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.10 --all-extras --no-header --no-annotate --no-emit-index-url pyproject.toml >> constraints.new
	@mv constraints.new constraints.txt

clean: ## Remove all that was made: the environment, the demo's data, caches.
	@rm -rf $(VENV) .braze_platform .braze_platform.lock *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis build dist
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
