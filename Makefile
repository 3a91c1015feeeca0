# What a person types. `make run` needs Python 3.11 or newer and nothing else.

# The newest Python of those that the locked versions are made for.
PYTHON ?= $(firstword $(foreach p,python3.13 python3.12 python3.11 python3,$(shell $(p) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null && command -v $(p))))
BIN := .venv/bin

.PHONY: env run cluster servers test style check bench clean lock

env: .venv/env.stamp ## .venv with all that running needs
run: env ## a running platform with demo events, on http://127.0.0.1:8001
	@$(BIN)/tailrace up --demo

cluster: .venv/dev.stamp servers ## Kafka, Redis, Elasticsearch and every role of Tailrace on this machine
	@$(BIN)/python -m deploy.local

servers: .venv/dev.stamp ## the real servers that the tests use, into .servers/
	@$(BIN)/python -m deploy.local.provision

test: .venv/spark.stamp servers ## every test, on real processes and real servers
	$(BIN)/python -m pytest -q -n auto --dist loadgroup

style: .venv/dev.stamp ## ruff, mypy, and the layers that imports must keep to
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

check: style ## the gate on a laptop: style and the fast tests
	$(BIN)/python -m pytest -q -n auto --dist loadgroup -m "not slow"

bench: .venv/dev.stamp ## the table of docs/benchmarks.md, measured here
	$(BIN)/python -m bench

.venv/env.stamp: pyproject.toml requirements/run.txt
	@test -n "$(PYTHON)" || { echo "Tailrace needs Python 3.11, 3.12 or 3.13 on the PATH; none was found." >&2; exit 1; }
	@test -x $(BIN)/python || { echo "making .venv with $(PYTHON)"; $(PYTHON) -m venv .venv; }
	@echo "installing (about half a minute the first time)"
	@$(BIN)/python -m pip install -q --disable-pip-version-check -r requirements/run.txt
	@$(BIN)/python -m pip install -q --disable-pip-version-check --no-deps -e .
	@$(BIN)/python -m tailrace.kernels
	@touch $@

.venv/dev.stamp: .venv/env.stamp requirements/dev.txt
	@$(BIN)/python -m pip install -q --disable-pip-version-check -r requirements/dev.txt
	@touch $@

# Four hundred megabytes that only the tests of `tailrace spark` need.
.venv/spark.stamp: .venv/dev.stamp requirements/spark.txt
	@$(BIN)/python -m pip install -q --disable-pip-version-check -r requirements/spark.txt
	@touch $@

lock: ## write the newest versions that work together into requirements/
	rm -rf .venv-lock && $(PYTHON) -m venv .venv-lock
	.venv-lock/bin/python -m pip install -q -e . && .venv-lock/bin/python -m pip freeze --exclude-editable > requirements/run.txt
	.venv-lock/bin/python -m pip install -q -e '.[dev]' && .venv-lock/bin/python -m pip freeze --exclude-editable > requirements/dev.txt
	.venv-lock/bin/python -m pip install -q -e '.[dev,spark]' && .venv-lock/bin/python -m pip freeze --exclude-editable | grep -vxFf requirements/dev.txt > requirements/spark.txt
	rm -rf .venv-lock

clean: ## everything that was made, but for the data
	rm -rf .venv .venv-lock build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis bench/out src/*.egg-info
	find . -name __pycache__ -prune -exec rm -rf {} +
