# `make demo` and `make test` are all a newcomer needs; both make .venv first, the latter with tools.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready
TOOLS := .venv/.tools

.PHONY: help demo test check slow bench docs clean

help: ## Show this help
	@grep -E '^[a-z]+:.*##' Makefile | sed -E 's/:.*## /\t/' | expand -t 10

demo: $(READY) ## Run the main job on built-in synthetic data; ends with a report (minutes)
	$(BIN)/skeldistill run demo --out runs/demo --jobs 2

test: $(TOOLS) ## Everything CI runs: checks and tests
	scripts/check
	scripts/test

check: $(TOOLS) ## Formatting, lint, types, imports
	scripts/check

slow: $(TOOLS) ## The tests that take minutes, and those that need MediaPipe, Ray and Triton, which it installs
	$(BIN)/python -m pip install --quiet --no-compile --constraint constraints.txt --editable '.[dev,mediapipe,scale]'
	$(BIN)/python -m pip install --quiet --no-compile --no-deps triton
	scripts/test -m "slow or extras"

bench: $(TOOLS) ## Benchmarks: ratios against a named baseline in the same run (minutes)
	$(BIN)/python benchmarks/run.py --out runs/bench.json

docs: $(TOOLS) ## Build the documentation site into docs/_build
	$(BIN)/python -m pip install --quiet --no-compile --constraint constraints.txt --editable '.[docs]'
	$(BIN)/sphinx-build -q -W docs docs/_build

clean: ## Remove the virtual environment and everything made by demo
	rm -rf .venv runs docs/_build

# Python compiles what it imports; compiling all that is installed takes longer than installing it.
$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --no-compile --constraint constraints.txt torch==2.13.0
	$(BIN)/python -m pip install --quiet --no-compile --constraint constraints.txt --editable .
	touch $(READY)

$(TOOLS): $(READY)
	$(BIN)/python -m pip install --quiet --no-compile --constraint constraints.txt --editable '.[dev]'
	touch $(TOOLS)
