# The commands of this project. `make` alone lists them.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
BY_HAND := .venv-bench/.installed

.DEFAULT_GOAL := help
.PHONY: help run test simulate check format schema docs golden bench bench-flat bench-attack bench-parts bench-plots torture fuzz clean

help: ## List the commands
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed; name one: make PYTHON=python3.12 ...") if sys.version_info < (3, 11) else None'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@touch $@

run: $(STAMP) ## Start everything on this machine and send it samples (ONCE=1 ends after the table)
	@$(BIN)/gateway dev --send stripe --send slack --send github $(if $(ONCE),--once)

test: $(STAMP) ## Run the tests
	$(BIN)/python -m pytest -q --numprocesses auto --dist loadfile $(ARGS)

simulate: $(STAMP) ## Play days of faults for many seeds (SEEDS=1000), and an outage with a large backlog
	SIM_SEEDS=$(or $(SEEDS),1000) SIM_BACKLOG=10000 $(BIN)/python -m pytest -q -s --timeout 600 tests/simulation $(ARGS)

check: $(STAMP) ## Check format, lint, types and layers
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

format: $(STAMP) ## Format the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

schema: $(STAMP) ## Write docs/gateway.schema.json from the code
	$(BIN)/python -m gateway.config > docs/gateway.schema.json

docs: $(STAMP) ## Write docs/providers from the catalogue
	$(BIN)/python -m gateway.dev.provider_pages docs/providers

golden: $(STAMP) ## Rewrite the golden files of the transforms, to be reviewed as a diff
	$(BIN)/python -m pytest -q --update-golden tests/transforms

$(BY_HAND): benchmarks/requirements.txt
	test -x $(@D)/bin/python || $(PYTHON) -m venv $(@D)
	$(@D)/bin/python -m pip install --quiet --disable-pip-version-check --requirement benchmarks/requirements.txt
	@touch $@

bench: $(STAMP) $(BY_HAND) ## Compare the gateway with what people write by hand; docs/performance.md
	$(BIN)/python -m benchmarks --by-hand $(dir $(BY_HAND))bin/python

bench-flat: $(STAMP) ## Measure with much stored, waiting, configured and sent; or ARGS='--stored 10000000'
	$(BIN)/python -m benchmarks.flat $(ARGS)

bench-attack: $(STAMP) ## Measure what refusals cost, and good webhooks among attacks
	$(BIN)/python -m benchmarks.attack $(ARGS)

bench-plots: $(STAMP) ## Draw the newest results into docs/performance.md
	$(BIN)/python -m benchmarks.plots

bench-parts: $(STAMP) ## Measure a verification of each scheme, and a shadow
	$(BIN)/python -m benchmarks.verification
	$(BIN)/python -m benchmarks.shadow

torture: $(STAMP) ## Kill, starve and cut a gateway for 30 minutes; or TORTURE_SECONDS, _KILLS, _POWER, _SEED
	$(BIN)/python -m gateway.torture

fuzz: $(STAMP) ## Fuzz verification with ten million requests, some over HTTP; or FUZZ_REQUESTS, FUZZ_SEED
	$(BIN)/python -m tests.fuzz

clean: ## Remove what the other commands made
	rm -rf $(VENV) $(dir $(BY_HAND)) .gateway build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
