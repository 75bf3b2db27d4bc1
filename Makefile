# The commands of this project. `make help` lists them.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
CONFIG ?=
PYTEST_FLAGS ?=
BENCH ?=

# Without it, every start of Python compiles all over again, and so does pytest, three times with two workers.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help setup run test check bench screenshots fuzz lab lab-build lock dist deb clean

help: ## list the commands
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

setup: $(VENV)/.ready ## create .venv with the project and what its tests need

$(VENV)/.ready: pyproject.toml requirements/dev.txt scripts/debian-packages.sh
	scripts/debian-packages.sh setup
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	$(BIN)/python -m compileall -q asterisk_sip
	touch $@

run: setup ## run the daemon: on a recording, or on your PBX with CONFIG=my.toml
ifeq ($(CONFIG),)
	$(BIN)/asterisk-sip demo
else
	$(BIN)/asterisk-sip run --config $(CONFIG)
endif

check: setup ## the fast loop: lint, types, unit tests but those of tests/slow.txt
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/pytest -q -m "not slow and not lab and not postgres and not clickhouse and not browser and not mounts and not roots" -n 2 --dist worksteal $(PYTEST_FLAGS)

test: setup ## everything, on real Asterisk 16 and 22; installs all it needs
	scripts/debian-packages.sh test
	$(MAKE) --no-print-directory lab-build
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/pytest -n 2 --dist loadgroup $(PYTEST_FLAGS)

bench: setup lab-build ## measure speed, as ratios in one run; BENCH=million for the long one
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements/bench.txt
	$(BIN)/python -m tests.bench $(BENCH)

screenshots: setup ## take the pictures of docs/img anew
	scripts/debian-packages.sh test
	$(BIN)/python -m tests.browser.screenshots

fuzz: setup ## a million random and mutated frames through every reader
	for name in $$($(BIN)/python -m tests.fuzz names); do $(BIN)/python -m tests.fuzz $$name --frames 1000000; done

lab-build: setup ## build the two real PBXs and a bare Debian into .lab (once)
	$(BIN)/python -m tests.lab build

lab: lab-build ## leave the two PBXs running for you to play with
	$(BIN)/python -m tests.lab run

UV_LOCK := uv pip compile --universal --generate-hashes --no-annotate --no-header --no-emit-index-url --no-emit-find-links -q -p 3.11

lock: ## renew requirements/*.txt (needs uv); what runs is locked as it is tested
	$(UV_LOCK) pyproject.toml --group dev -o requirements/dev.txt
	$(UV_LOCK) pyproject.toml -c requirements/dev.txt -o requirements/run.txt
	$(UV_LOCK) pyproject.toml -c requirements/dev.txt --extra nats --extra postgres -o requirements/image.txt
	$(UV_LOCK) --group build -c requirements/dev.txt -o requirements/build.txt

dist: setup ## build wheel and sdist into dist/
	$(BIN)/python -m hatchling build -d dist

deb: ## build the Debian package into dist/, for this Debian's own Python
	/usr/bin/python3 scripts/make_deb.py

clean: ## remove what was built (keeps .lab)
	rm -rf $(VENV) .run dist build
