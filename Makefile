# Every command of this repository. `make help` says what each needs; docs/testing.md says more.

VENV ?= .venv
PYTHON ?=
ARGS ?=
TESTS ?= tests
# Set READY to nothing to use the virtual environment as it is (tests/checks does, in a copy of the tree).
READY ?= $(VENV)/.ready

PACKAGES := libs/common libs/cli services/notifier services/instruction services/scheduler services/device-sim \
            services/smi services/governance
LAYERS := bootstrap base local dev java audit
BIN := $(VENV)/bin
empty :=
space := $(empty) $(empty)
# This tree's sources come before whatever the environment has installed.
SOURCES := $(subst $(space),:,$(PACKAGES:%=$(CURDIR)/%/src))

MAKEFLAGS += --no-print-directory
.DEFAULT_GOAL := help
.PHONY: help setup demo test fuzz check check-format check-lint check-types check-imports check-tools check-docs \
        format requirements sbom audit clean

help:
	@echo "Needs: make, and Python 3.11, 3.12 or 3.13 with venv (Debian: python3-venv). Nothing else, no root, no Docker."
	@echo "       Java 17 or newer is used when there is one; else setup installs a run time into $(VENV)."
	@echo "  make setup         the virtual environment, with every package at its recorded hash"
	@echo "  make demo          a whole roll-out on this machine; ARGS=--json for one JSON object on standard output"
	@echo "  make test          every test that needs no Docker; TESTS=tests/unit ARGS=-x for a part"
	@echo "  make fuzz          every parser and every route with many random inputs; docs/testing.md says how many"
	@echo "  make check         format, lint, types, imports, own rules, documents (check-format, check-lint, ...)"
	@echo "  make format        rewrite what check-format and check-lint can repair"
	@echo "  make requirements  resolve requirements/*.in again; UPGRADE=--upgrade for newer versions"
	@echo "  make sbom          build/sbom.json: every package with its version, hash and licence (CycloneDX)"
	@echo "  make audit         known faults of those packages; needs the Python Packaging Advisory Database"
	@echo "  make clean         remove $(VENV), caches and local state"
	@echo "PYTHON=python3.12 chooses the interpreter, VENV=path the environment."

setup: $(READY)
	@:

$(VENV)/.ready: tools/setup.sh requirements/bootstrap.txt requirements/dev.txt requirements/java.txt \
                $(PACKAGES:%=%/pyproject.toml)
	@VENV='$(VENV)' PYTHON='$(PYTHON)' sh tools/setup.sh $(PACKAGES) >&2

demo:
	@$(MAKE) setup >&2
	@$(BIN)/chfw demo $(ARGS)

test: $(READY)
	PYTHONPATH='$(SOURCES)' $(BIN)/python -m pytest -p tools.no_skips --ignore=tests/containers $(TESTS) $(ARGS)

# The files whose tests take their number of inputs from tests/support/fuzzing.py.
fuzz: $(READY)
	PYTHONPATH='$(SOURCES)' $(BIN)/python -m pytest -p tools.no_skips --hypothesis-profile=fuzz --hypothesis-show-statistics \
	    $$(grep -rl --include='test_*.py' 'support.fuzzing import' tests) $(ARGS)

# All of them, whatever fails, so that one run tells everything.
check: $(READY)
	@$(MAKE) --keep-going check-format check-lint check-types check-imports check-tools check-docs

check-format: $(READY)
	$(BIN)/ruff format --check --quiet .

check-lint: $(READY)
	@failed=0; $(BIN)/ruff check --quiet . || failed=1; $(BIN)/yamllint --strict . || failed=1; exit $$failed

check-types: $(READY)
	MYPYPATH='$(SOURCES)' $(BIN)/mypy libs services tests tools

check-imports: $(READY)
	@# Wide, because import-linter wraps its lines and a finding must stay in one piece.
	PYTHONPATH='$(SOURCES)' COLUMNS=240 $(BIN)/lint-imports

check-tools: $(READY)
	$(BIN)/python -m tools.checks code

check-docs: $(READY)
	$(BIN)/python -m tools.checks docs
	@# What documents show of the code: python -m tools.picture writes it anew.
	PYTHONPATH='$(SOURCES)' $(BIN)/python -m tools.picture --check
	$(BIN)/codespell --quiet-level 2
	$(BIN)/towncrier build --draft --version 0.0.0 >/dev/null

format: $(READY)
	$(BIN)/ruff check --fix --quiet . || true
	$(BIN)/ruff format .

# No header and no addresses: the files say what is installed, not where from nor how they were made.
requirements: $(READY)
	@cd requirements && for layer in $(LAYERS); do \
	  echo "$$layer" && $(abspath $(BIN))/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	    --no-header --no-emit-index-url --no-emit-find-links --annotation-style line $(UPGRADE) \
	    $$layer.in --output-file $$layer.txt || exit 1; \
	done

# What looks at the packages has an environment of its own, and is never part of one that runs.
$(VENV)-audit/.ready: requirements/audit.txt $(READY)
	$(BIN)/python -m venv $(VENV)-audit
	$(VENV)-audit/bin/python -m pip install --quiet --require-hashes --requirement requirements/audit.txt
	@touch $@

sbom: $(VENV)-audit/.ready
	@mkdir -p build
	$(VENV)-audit/bin/cyclonedx-py environment --output-reproducible --of JSON --output-file build/sbom.json $(BIN)/python

# Strict: a package that cannot be looked up is a failure, and so is a database that cannot be reached.
audit: $(VENV)-audit/.ready
	@for layer in base local; do \
	  $(VENV)-audit/bin/pip-audit --strict --disable-pip --require-hashes --requirement requirements/$$layer.txt || exit 1; \
	done

clean:
	rm -rf $(VENV) $(VENV)-audit build .state .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
