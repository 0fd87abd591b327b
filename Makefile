# Two commands matter: `make run` and `make test`. Both install what they need into .venv.

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules
export PIP_DISABLE_PIP_VERSION_CHECK := 1

PYTHON ?= python3
PY := .venv/bin/python
NODE := tests/e2e/node infra/aws web/client
INSTALLED := .venv/installed
COMMAND := .venv/bin/millrace
# Node is used where it is there; the tests say what they skipped without it.
NODE_INSTALLED := $(if $(shell command -v npm),$(NODE:%=%/node_modules/.package-lock.json))

.PHONY: help run env test check bench soak package lock clean install

help: ## Show what can be made
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-9s %s\n", $$1, $$2 }' Makefile

run: $(INSTALLED) $(COMMAND) ## Start everything on this machine: page and API on :8000, store on :8079
	@exec $(PY) -m infra.local.stack --until-parent-ends

env: ## Print the settings that join a process to the running stack: eval "$(make -s env)"
	@test -x "$(PY)" || { echo 'no local stack is running: start it with `make run`' >&2; exit 1; }
	@"$(PY)" -m infra.local.env

# A file stays with one worker, which starts its servers once; the slow suites come first. What
# measures time runs afterwards, alone.
WORKERS ?= 3
PYTEST := $(PY) -m pytest $(if $(MILLRACE_NO_SKIP),-p tests.support.no_skip)

test: install ## Run all tests but the long ones; ARGS goes to pytest, which then runs one by one
ifdef ARGS
	$(PYTEST) $(ARGS)
else
	$(PYTEST) -m 'not soak and not alone' -n $(WORKERS) --dist loadscope --no-loadscope-reorder
	$(PYTEST) -m 'alone and not soak'
endif

check: $(INSTALLED) ## Types, and every hook: lint, format, import contracts, spelling, secrets, large files
	$(PY) -m mypy
	$(PY) -m pre_commit run --all-files

bench: $(INSTALLED) ## Measure fan-out, bursts, idle cost and cold starts; ARGS goes to the benchmarks
	$(PY) -m tests.benchmarks $(ARGS)

soak: install ## Run the long tests: thousands of random schedules
	$(PY) -m pytest -m soak $(ARGS)

package: $(INSTALLED) ## Build build/lambda.zip, the same bytes from the same sources
	$(PY) -m infra.aws.package

# The largest set is resolved first and bounds the others, so that what is tested is what is deployed.
COMPILE := $(PY) -m uv pip compile pyproject.toml --quiet --universal --python-version 3.11 \
  --generate-hashes --no-header --no-emit-index-url

lock: $(INSTALLED) ## Resolve pyproject.toml into requirements*.txt; ARGS=--upgrade takes newer releases
	$(COMPILE) $(ARGS) --extra container --extra aws --extra local --extra dev -o requirements-dev.txt
	$(COMPILE) $(ARGS) -c requirements-dev.txt --extra container --extra local -o requirements-local.txt
	$(COMPILE) $(ARGS) -c requirements-dev.txt --extra container -o requirements-container.txt
	$(COMPILE) $(ARGS) -c requirements-dev.txt -o requirements.txt

clean: ## Remove what was built and installed; .local with its secrets stays
	rm -rf web/client/build web/client/dist
	rm -rf .venv build dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
	rm -rf $(NODE:%=%/node_modules)
	find . -name __pycache__ -not -path './.git/*' -prune -exec rm -rf {} +

install: $(INSTALLED) $(COMMAND) $(NODE_INSTALLED)

.venv/bin/python:
	@command -v $(PYTHON) >/dev/null || { echo 'Python 3.11 or newer is needed' >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "Python 3.11 or newer is needed, $(PYTHON) is $$($(PYTHON) -V 2>&1): make PYTHON=..." >&2; \
	  exit 1; }
	$(PYTHON) -m venv --clear .venv

$(INSTALLED): requirements-dev.txt infra/install.sh | .venv/bin/python
	@echo 'Installing requirements-dev.txt into .venv'
	@infra/install.sh $(PY) $<
	@touch $@

$(COMMAND): api/cli/millrace.sh $(INSTALLED)
	@install -m 755 $< $@

%/node_modules/.package-lock.json: %/package-lock.json
	npm ci --prefix $* --no-audit --no-fund --silent
	@touch $@
