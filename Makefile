# Everything happens in .venv, made with the first call and kept. Another Python: make PYTHON=python3.12 report
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
DOCS_INSTALLED := $(VENV)/.docs-installed
LOWEST := .venv-lowest
LOWEST_INSTALLED := $(LOWEST)/.installed

# Each of the processes that run the tests starts every framework for itself.
TESTERS ?= 2
BESIDE := --numprocesses $(TESTERS) --dist loadfile --no-loadscope-reorder

# The mathematics, the comparison, the diagnosis, case files and messages: what a change breaks most often.
QUICK := $(addprefix tests/,test_selection.py case casefile checkpoint comparison diagnosis layout precision problem reference_impls terminal)

# Tests of each dependency: all tests that need no framework, in some seven minutes, are make lowest LOWEST_TESTS=tests
# Mutation testing, whose tools need later versions, and the gallery, whose pictures are those of one matplotlib, are never among them.
LOWEST_TESTS := $(addprefix tests/,bench casefile checkpoint comparison fuzz packaging plugin precision report \
	reference_impls/test_onnx_node_tests.py execution/session/test_executors.py)

# A few cases of each kind, whose report is committed: small enough to be looked at in a change.
BASELINE := $(addprefix cases/,basic/activations.yaml basic/dot.yaml cells/smallest.yaml cells/gru_reset_ported.yaml \
	cells/lengths_last_step.yaml truncation/last_steps.yaml tutorials/sine.yaml training/sgd.yaml)

# None of what `make help` lists is a file.
.PHONY: $(shell sed -n 's/^\([a-z-]*\):.*\#\#.*/\1/p' $(firstword $(MAKEFILE_LIST)))

help: ## Show what can be made
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 22

report: $(INSTALLED) ## Run all cases and write the comparison report to reports/latest
	$(BIN)/harness run

quick: $(INSTALLED) ## Run the tests that need no framework and no processes (half a minute)
	PYTHONPATH=tests/no_frameworks $(BIN)/pytest $(QUICK) -m "not full and not framework and not slow" $(BESIDE)

test: $(INSTALLED) ## Run tests of everything: of parameters each pair, of faults each once (ten minutes)
	$(BIN)/pytest -m "not full" $(BESIDE) --durations 20

test-all: $(INSTALLED) ## Run all tests with all parameters, and all cases (half an hour)
	$(BIN)/pytest $(BESIDE) --durations 20

lowest: $(LOWEST_INSTALLED) ## Run tests of every dependency, with the lowest versions that pyproject.toml allows
	$(LOWEST)/bin/pytest $(LOWEST_TESTS) --ignore tests/mutation --ignore tests/docs/test_gallery.py -m "not full" $(BESIDE)

lint: $(INSTALLED) ## Check style, types and the layers of the imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: $(DOCS_INSTALLED) ## Make the documentation site in docs/_build/html; a warning is an error
	$(BIN)/sphinx-build --fail-on-warning --keep-going --quiet --builder html docs docs/_build/html
	@echo 'the site is in docs/_build/html/index.html'

regressions: $(INSTALLED) ## Compare the last report with the committed one; fails if something got worse
	$(BIN)/harness diff reports/baseline reports/latest --ignore-new

baseline: $(INSTALLED) ## Write the committed report anew, which regressions compares with
	$(BIN)/harness run $(BASELINE) --tensors none --no-cache --out reports/baseline

tolerances: report ## Show the headroom of each tolerance over the errors of the last report
	$(BIN)/python -m harness.report.headroom reports/latest

diagnosis-benchmark: $(INSTALLED) ## Show how well faults are named, over all cases (half an hour)
	$(BIN)/python -m benchmarks.diagnosis

fuzz-inputs: $(INSTALLED) ## Try ten thousand bad case files and reports (a quarter of an hour)
	$(BIN)/python -m benchmarks.bad_inputs 10000

bench: $(INSTALLED) ## Time the hand-written gradients beside the frameworks, into docs/benchmarks.md (a quarter of an hour)
	$(BIN)/harness bench
	$(BIN)/python -m benchmarks.speed

crashes: $(INSTALLED) ## Kill runs and their processes at random moments; show what survived (ten minutes)
	$(BIN)/python -m benchmarks.crashes

mutation: $(INSTALLED) ## Change our own code in one place at a time; show what the tests do not notice (half an hour)
	$(BIN)/python -m benchmarks.mutation --out reports/mutation.jsonl

library: $(INSTALLED) ## Write docs/cases.md, what each case catches that no simpler one does (some minutes)
	$(BIN)/python -m benchmarks.case_library

page-benchmark: $(INSTALLED) ## Measure the report's page for 100 and 1,000 cases (some minutes)
	$(BIN)/python -m benchmarks.page

run-benchmark: $(INSTALLED) ## Measure what runs cost beside what implementations compute (a quarter of an hour)
	$(BIN)/python -m benchmarks.run_cost

first-verdict: $(INSTALLED) ## Hold the time of the first verdict of harness check beside an import of NumPy (half a minute)
	$(BIN)/python -m benchmarks.first_verdict

comparison-benchmark: $(INSTALLED) ## Measure how fast large tensors are compared (a minute; 4 GB of memory)
	$(BIN)/python -m benchmarks.comparison

gallery: $(INSTALLED) ## Write docs/faults, every fault with a picture of what it does (half a minute)
	$(BIN)/python -m benchmarks.gallery

screenshots: $(INSTALLED) ## Write docs/pictures, a report that shows a wrong gradient (a minute; needs chromium)
	$(BIN)/python -m benchmarks.gallery.screenshots

snapshots: $(INSTALLED) ## Write the words of messages and pages that tests compare with (tests/**/__snapshots__)
	$(BIN)/pytest $(addprefix tests/,case/test_located_mistakes.py cli/test_commands.py diagnosis/test_texts.py) --snapshot-update

notebook: $(INSTALLED) ## Execute docs/notebooks/in-a-notebook.ipynb and write its outputs into it
	$(BIN)/python -m docs.notebook_outputs

schema: $(INSTALLED) ## Write case.schema.json, which editors read
	$(BIN)/harness schema > case.schema.json

commands: $(INSTALLED) ## Write docs/commands.md, the reference of the command line
	$(BIN)/python -m docs.command_reference

# Torch's wheels bring CUDA, so that its lowest version stands in constraints.txt alone.
lowest-versions: $(INSTALLED) ## Write constraints-lowest.txt, after a change to a bound in pyproject.toml
	$(BIN)/uv pip compile pyproject.toml --resolution lowest-direct --python-version 3.11 --no-annotate --quiet \
	--extra tensorflow --extra jax --extra flax --extra test \
	--custom-compile-command 'make lowest-versions' --output-file constraints-lowest.txt

clean: ## Remove the environments and everything that was made
	rm -rf $(VENV) $(LOWEST) docs/_build reports/latest reports/check reports/bench .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis

# By the variable rather than by --constraint, the versions hold for what builds the package, too.
$(INSTALLED): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	PIP_CONSTRAINT='$(CURDIR)/constraints.txt' $(BIN)/python -m pip install --quiet --editable '.[all,dev]'
	touch $@

$(LOWEST_INSTALLED): pyproject.toml constraints-lowest.txt
	$(PYTHON) -m venv $(LOWEST)
	PIP_CONSTRAINT='$(CURDIR)/constraints-lowest.txt' $(LOWEST)/bin/python -m pip install --quiet --editable '.[test]'
	touch $@

$(DOCS_INSTALLED): $(INSTALLED)
	PIP_CONSTRAINT='$(CURDIR)/constraints.txt' $(BIN)/python -m pip install --quiet --editable '.[docs]'
	touch $@
