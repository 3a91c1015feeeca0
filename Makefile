# What a person types. `make run` needs Python 3.11 or newer and nothing else.

# The newest Python of those that the locked versions are made for.
PYTHON ?= $(firstword $(foreach p,python3.13 python3.12 python3.11 python3,$(shell $(p) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null && command -v $(p))))
BIN := .venv/bin

# The tests start hundreds of processes, each of which would compile all modules without Python's cache.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: env run page types cluster servers shippers test style check screenshots bench clean lock

# The dashboard is built with the machine's Node, or with one that pip fetches for the build alone. All but the page
# works without it, so running does not wait for somebody to mend a build.
PAGE := $(BIN)/python dashboard/build

env: .venv/env.stamp ## .venv with all that running needs, and the dashboard
	@$(PAGE) --optional
run: env ## a running platform with demo events, on http://127.0.0.1:8001
	@$(BIN)/tailrace up --demo

page: .venv/env.stamp ## the dashboard, built into the package where it is not up to date
	@$(PAGE)

types: .venv/env.stamp ## the dashboard's types of the API, made of its description
	@$(BIN)/python dashboard/build/api_types.py

cluster: .venv/dev.stamp servers env ## Kafka, Redis, Elasticsearch and every role of Tailrace on this machine
	@$(BIN)/python -m deploy.local

servers: .venv/dev.stamp ## the real servers that the tests use, into .servers/
	@$(BIN)/python -m deploy.local.provision

shippers: .venv/dev.stamp ## the clients of other projects that the tests send logs with
	@PYTHONPATH=dashboard/build $(BIN)/python -m tests.shippers.provision

test: .venv/spark.stamp servers shippers page ## every test, on real processes, real servers and a real browser
	@$(PAGE) run test
	$(BIN)/python -m pytest -q -n auto --dist loadgroup

style: .venv/dev.stamp ## ruff, mypy, the layers that imports must keep to; TypeScript and biome
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	@$(PAGE) run check

check: style ## the gate on a laptop: style and the fast tests
	@$(PAGE) run test
	$(BIN)/python -m pytest -q -n auto --dist loadgroup -m "not slow"

screenshots: .venv/dev.stamp servers page ## pictures of each page, for docs/screenshots and to be looked at
	$(BIN)/python -m tests.browser.screenshots

bench: .venv/dev.stamp servers page ## the table of docs/benchmarks.md, measured here
	$(BIN)/python -m bench

.venv/env.stamp: pyproject.toml requirements/run.txt
	@test -n "$(PYTHON)" || { echo "Tailrace needs Python 3.11, 3.12 or 3.13 on the PATH; none was found." >&2; exit 1; }
	@test -x $(BIN)/python || { echo "making .venv with $(PYTHON)"; $(PYTHON) -m venv .venv; }
	@echo "installing (a minute or two the first time)"
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
	rm -rf .venv .venv-lock build dist dashboard/dist dashboard/node_modules dashboard/.node .mypy_cache .ruff_cache .pytest_cache .hypothesis bench/out src/*.egg-info
	find . -name __pycache__ -prune -exec rm -rf {} +
