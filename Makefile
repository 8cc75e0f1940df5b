# Everything a newcomer runs. `make demo` and `make test` set up what they need themselves.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
# A little more than two cores would need: tests wait for processes that start, for clocks and for disks. With five of
# them the long ones, which begin at once, wait for one another.
TESTERS ?= 3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
ARGS ?=

.PHONY: help demo test lint load bench release lock clean
.DEFAULT_GOAL := help

help:  ## this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

demo: $(READY)  ## an example market with live traffic, e.g. make demo ARGS="--pings 300 --exit"
	@$(BIN)/exchange demo $(ARGS)

test: lint  ## style, types, import floors, then every test on real services
	$(BIN)/pytest -n $(TESTERS) --dist loadfile --no-loadscope-reorder $(ARGS)

lint: $(READY)  ## style, types and import floors only
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

# The virtual environment is made from the lock, and made again when the lock is newer than it is.
$(READY): requirements/dev.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed; say which with make PYTHON=/path/to/python3"; exit 1; }
	@echo "Setting up $(VENV) from the lock (once) ..."
	@rm -rf $(VENV)
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --only-binary :all: --require-hashes -r requirements/dev.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

load: $(READY)  ## two minutes of load on a demo world of its own, and a report in loadtests/report/
	@$(BIN)/python loadtests/load.py $(ARGS)

bench: $(READY)  ## the ping path beside Go, Node and textbook Python; see loadtests/README.md
	$(BIN)/python loadtests/bench/run.py $(ARGS)

release: requirements/release.txt  ## the service alone into DEST, as the image does it
	$(PYTHON) -m venv $(DEST)
	$(DEST)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --only-binary :all: --require-hashes -r requirements/release.txt
	$(DEST)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation .

lock:  ## brings both lock files up to date with pyproject.toml (needs uv)
	uv pip compile --quiet --universal --generate-hashes --no-header --python-version 3.11 --extra dev pyproject.toml -o requirements/dev.txt
	uv pip compile --quiet --universal --generate-hashes --no-header --python-version 3.11 --constraint requirements/dev.txt pyproject.toml requirements/build.in -o requirements/release.txt

clean:  ## removes the virtual environment and the demo's data
	rm -rf $(VENV) .exchange
