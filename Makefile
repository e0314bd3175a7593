# make demo | ui | test | test-all | check | stress | bench | setup. Needs Python >= 3.11, make, pip and a package index; nothing else.
PYTHON ?= python3
# Test processes; each computes with one thread, so that they do not fight over the cores.
WORKERS ?= 2

BIN := .venv/bin
STAMP := .venv/.installed
PYTEST := OMP_NUM_THREADS=1 TOKENIZERS_PARALLELISM=false $(BIN)/python -m pytest -n $(WORKERS) --dist loadscope

.PHONY: setup chromium demo ui test test-all check stress bench clean

setup: $(STAMP) chromium

# For the browser tests; where it cannot be installed, they are skipped.
chromium:
	.ci/chromium.sh

$(STAMP): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install -c constraints.txt torch==2.13.0
	$(BIN)/python -m pip install -c constraints.txt -e '.[dev]'
	touch $(STAMP)

demo: $(STAMP)
	$(BIN)/python -m ui.demo

# The browser app at http://127.0.0.1:7860/, for the registry in REGISTRY_HOME.
ui: $(STAMP)
	$(BIN)/registry ui

test: setup
	$(PYTEST) -m "not long"

# With the tests that take minutes: hostile text in every field, the keyboard alone, many clients at once.
test-all: setup
	$(PYTEST)

check: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# The full figures of docs/results/reliability.md; goes on where it was interrupted.
stress: setup
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[stress]'
	$(BIN)/python -m tests.stress --work .stress

# What docs/performance.md and docs/results/ quote, on the CPU; real rows come from the folder in REGISTRY_DATA.
bench: setup
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[bench]'
	$(BIN)/python -m benchmarks.inference --plot .bench/inference.svg
	$(BIN)/python -m benchmarks.training --quick --plot .bench/training.svg
	$(BIN)/python -m benchmarks.router --plot .bench/router.svg
	$(BIN)/python -m benchmarks.registry --plot .bench/registry.svg

clean:
	rm -rf .venv .demo .stress .bench build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis
