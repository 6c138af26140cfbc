# Everything a developer or a newcomer runs. Needs Python 3.11+ (with venv), make and git; the rest is installed here.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
COMPILE := $(BIN)/python -m compileall -q src

.PHONY: setup demo serve test test-full check fix bench docs lock clean

setup: $(VENV)/dev.stamp ## Make the development environment from the lock.

demo: $(VENV)/run.stamp ## Show the main job. FILE=articles.json|csv brings your own; ARGS=--once ends when it is done.
	@$(BIN)/datastead demo $(if $(FILE),--file "$(FILE)") $(ARGS)

serve: $(VENV)/run.stamp ## Serve, with what the environment and .env say.
	@$(BIN)/datastead serve $(ARGS)

test: $(VENV)/dev.stamp ## The whole suite, without what takes very long.
	$(BIN)/pytest -n 3 -m "not full" $(ARGS)

test-full: $(VENV)/dev.stamp ## What takes long: crash matrices, races, fuzzing, and all that runs on MariaDB.
	$(BIN)/pytest -n 2 --dist worksteal -m full $(ARGS)

check: $(VENV)/dev.stamp ## Format, lint, types, layers, docs.
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/python docs/generate.py --check

fix: $(VENV)/dev.stamp ## Mend what can be mended by a program.
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .
	$(BIN)/python docs/generate.py

bench: $(VENV)/dev.stamp ## Measure; prints ratios within one run.
	$(BIN)/python bench/ai_call.py
	$(BIN)/python bench/ledger.py
	$(BIN)/python bench/ai_streams.py
	$(BIN)/python bench/rest.py
	$(BIN)/python bench/flows.py
	$(BIN)/python bench/realtime.py

docs: $(VENV)/dev.stamp ## Write the generated reference pages anew.
	$(BIN)/python docs/generate.py

lock: ## Make the locks anew from pyproject.toml (needs uv).
	requirements/compile.sh

clean:
	rm -rf $(VENV) dist build .mypy_cache .ruff_cache .pytest_cache .hypothesis

$(VENV)/run.stamp: requirements/run.lock pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(PIP) install --require-hashes -r requirements/run.lock
	$(PIP) install --no-deps --no-build-isolation --editable .
	$(COMPILE)
	@touch $@

$(VENV)/dev.stamp: requirements/dev.lock pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(PIP) install --require-hashes -r requirements/dev.lock
	$(PIP) install --no-deps --no-build-isolation --editable .
	$(COMPILE)
	@touch $@ $(VENV)/run.stamp
