# Everything that a person or CI does with this project. `make help` lists it.
# On a fresh machine: `make demo`, or `make setup` first. Needs Python 3.11 to 3.13, git and make.

SHELL := /bin/bash
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Byte code is compiled once at install: importing Airflow and Great Expectations is twice as quick with it.
unexport PYTHONDONTWRITEBYTECODE
export PYTHONPATH := plugins:.

RUNTIME := $(VENV)/.installed
DEV := $(VENV)/.installed-dev

.PHONY: help setup demo stop test test-long bench chaos simulate mutants lint proofs docs new-connector lock clean

help:  ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-13s %s\n", $$1, $$2}'

setup: $(DEV)  ## the virtual environment .venv with everything, tools for development too

demo: $(RUNTIME)  ## the whole system on this machine with demo data; ends with a summary and the address of the UI
	@$(BIN)/python -m tieout.orchestration.demo up

stop:  ## end what `make demo` started; data stay in .tieout/
	@if [ -x $(BIN)/python ]; then $(BIN)/python -m tieout.orchestration.demo down; else echo "nothing was running"; fi

TOGETHER := -n 2 --dist loadscope --no-loadscope-reorder --durations=10

test: lint  ## lint, then the fast tests, then those that start servers and a real Airflow
	$(BIN)/python -m pytest -m "not slow and not long" -n 2 --dist loadscope
	$(BIN)/python -m pytest -m slow $(TOGETHER)

test-long: $(DEV)  ## whole books of each pair, killed and backfilled, in and outside Airflow; CI runs them after `make test`
	$(BIN)/python -m pytest -m long $(TOGETHER)

bench: $(DEV)  ## measurements beside peers, printed as ratios
	$(BIN)/python -m bench

chaos: $(DEV)  ## kill, stop, cut, fill and skew real processes; a table of what came of it (about half an hour)
	$(BIN)/python -m tests.chaos

SCHEDULES ?= 20000
SEED ?= 0
simulate: $(DEV)  ## the posting protocol under seeded faults on all cores: make simulate SCHEDULES=1000000 SEED=0
	$(BIN)/tieout simulate --schedules $(SCHEDULES) --seed $(SEED)

mutants: $(DEV)  ## bugs planted in the posting protocol: by which invariant the simulator catches each, and how soon
	$(BIN)/python -m tests.mutants

lint: $(DEV)  ## ruff, mypy, the import rule
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest tests/unit/test_import_rule.py

# What failed takes its line off the page as well: so the page is written whatever the tests say.
proofs: $(DEV)  ## run the tests that show what works of whom (about an hour); write docs/proofs.json and docs/SYSTEMS.md
	$(BIN)/python -m pytest -m proves --write-proofs $(TOGETHER); failed=$$?; \
	  $(BIN)/python -m tests.support.marked --prune && $(BIN)/tieout docs && exit $$failed

docs: $(DEV)  ## write the generated pages of docs/ anew
	$(BIN)/tieout docs

new-connector: $(DEV)  ## the beginning of a new system: make new-connector NAME=acme_books ROLE=ledger (or crm) [LABEL="Acme Books"]
	@$(BIN)/python -m scaffold "$$NAME" --role "$$ROLE" --label "$$LABEL"

lock: $(DEV)  ## write both locks anew from pyproject.toml; pins that still fit are kept
	$(BIN)/uv pip compile -q pyproject.toml --universal --python-version 3.11 --generate-hashes -o requirements.txt
	$(BIN)/uv pip compile -q pyproject.toml --extra dev -c requirements.txt --universal --python-version 3.11 --generate-hashes -o requirements-dev.txt

clean: stop  ## end the demo and remove its data and the virtual environment
	rm -rf .tieout $(VENV)

# uv itself comes from the lock, by hash, like everything else.
$(BIN)/uv: requirements-dev.txt
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' \
	  || { echo "Tieout needs Python 3.11 to 3.13; $(PYTHON) is $$($(PYTHON) -V). Set PYTHON=/path/to/python3.12"; exit 1; }
	[ -x $(BIN)/python ] || $(PYTHON) -m venv $(VENV)
	@awk '/^uv==/{show=1} show{print} show && !/\\$$/{exit}' requirements-dev.txt > $(VENV)/uv.txt
	$(BIN)/python -m pip install -q --no-deps --require-hashes -r $(VENV)/uv.txt
	@touch $@

$(RUNTIME): $(BIN)/uv requirements.txt pyproject.toml
	VIRTUAL_ENV=$(VENV) $(BIN)/uv pip install -q --no-deps --require-hashes --compile-bytecode -r requirements.txt
	VIRTUAL_ENV=$(VENV) $(BIN)/uv pip install -q --no-deps -e .
	@$(BIN)/python -m compileall -q plugins sandbox dags
	@touch $@

$(DEV): $(RUNTIME) requirements-dev.txt
	VIRTUAL_ENV=$(VENV) $(BIN)/uv pip install -q --no-deps --require-hashes --compile-bytecode -r requirements-dev.txt
	@touch $@
