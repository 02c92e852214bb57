# The commands of a developer's day. Python 3.11 or newer, git and make are all that `make demo` and `make test` need.

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo serve test test-all test-differential conformance conformance-apis check lock

# The first Python on PATH that is new enough; PYTHON=… chooses another.
NEW_ENOUGH := import sys; sys.exit(sys.version_info < (3, 11))
PYTHON ?= $(shell for candidate in python3 python3.14 python3.13 python3.12 python3.11; do \
	"$$candidate" -c '$(NEW_ENOUGH)' 2>/dev/null && echo "$$candidate" && break; done)
BIN := .venv/bin
# The lock files are complete: nothing is resolved, so that a release made after them cannot get in the way.
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes --only-binary :all:
# Workers that run tests side by side: one more than two cores, as some wait for processes of their own.
WORKERS ?= 3

help: ## show this list
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' Makefile

demo: .venv/.run ## a citizen's whole journey against real servers, a line a step
	@$(BIN)/gov-services demo

serve: .venv/.run ## leave everything running on http://127.0.0.1:8000
	@$(BIN)/gov-services serve

test: .venv/.test ## every test, on a PostgreSQL and a Valkey of its own
	@$(BIN)/pytest -n $(WORKERS) -m "not slow" --cov=gov_services --cov-report=term:skip-covered

test-all: .venv/.test ## the tests, and those that take minutes
	@$(BIN)/pytest -n $(WORKERS) --cov=gov_services --cov-report=term:skip-covered

test-differential: .venv/.test ## 2,000 random queries, answered by the engine and by one schema
	@DIFFERENTIAL_EXAMPLES=2000 $(BIN)/pytest -n $(WORKERS) tests/federation/test_differential.py

conformance: .venv/.test ## published vectors, of which VECTORS=… names the folder
	@test -n "$(VECTORS)" || { echo "make conformance VECTORS=<folder of published vectors>" >&2; exit 1; }
	@VECTORS="$(abspath $(VECTORS))" $(BIN)/pytest -q -rP tests/conformance

conformance-apis: .venv/.test ## others' API specifications: BB_CONSENT=… and USAGE=… name checkouts of them
	@test -n "$(BB_CONSENT)$(USAGE)" || { echo "make conformance-apis BB_CONSENT=<checkout> USAGE=<checkout>" >&2; exit 1; }
	@BB_CONSENT="$(if $(BB_CONSENT),$(abspath $(BB_CONSENT)))" USAGE="$(if $(USAGE),$(abspath $(USAGE)))" \
		$(BIN)/pytest -q -rP tests/conformance/test_apis.py

check: .venv/.check ## style, types, layers: what must hold before a commit
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/gov-services graph check
	@$(BIN)/gov-services documents check
	@$(BIN)/gov-services privacy lint --committed
	@KUBERNETES_VALIDATE="$(CURDIR)/$(BIN)/kubernetes-validate" k8s/check.sh

lock: ## resolve requirements/*.in anew into hash-locked files for every platform (needs uv)
	@command -v uv >/dev/null || { echo "make lock needs uv on PATH" >&2; exit 1; }
	@cd requirements && for part in run keys test check; do \
		uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
			--upgrade --output-file $$part.txt $$part.in || exit 1; done

# One stamp for each set of requirements: a command fetches what it needs, once.
.venv/.run: requirements/run.txt Makefile | .venv/bin/pip
	@echo "installing what running needs …"
	@$(INSTALL) -r requirements/run.txt
	@$(BIN)/python -c "$$LINK_CHECKOUT"
	@touch $@

.venv/.test: requirements/test.txt .venv/.run
	@echo "installing what the tests add …"
	@$(INSTALL) -r requirements/test.txt
	@touch $@

# The checks read the tests too, and so want what those import.
.venv/.check: requirements/check.txt .venv/.test
	@echo "installing what the checks add …"
	@$(INSTALL) -r requirements/check.txt
	@touch $@

.venv/bin/pip:
	@test -n "$(PYTHON)" && "$(PYTHON)" -c '$(NEW_ENOUGH)' 2>/dev/null || \
		{ echo "Python 3.11 or newer is needed; there is none on PATH (or set PYTHON=/path/to/python)" >&2; exit 1; }
	@"$(PYTHON)" -m venv .venv >.venv-log 2>&1 || \
		{ tail -n 3 .venv-log >&2; rm -f .venv-log; echo "could not make .venv; on Debian: apt install python3-venv" >&2; exit 1; }
	@rm -f .venv-log

# An editable install without a build backend, which no lock file holds: a path and a command. The command is a shell
# script because the kernel reads no interpreter from a path with a space in it.
define LINK_CHECKOUT
import pathlib, sys, sysconfig
pathlib.Path(sysconfig.get_path("purelib"), "gov_services_checkout.pth").write_text(f"{pathlib.Path.cwd()}\n", "utf-8")
command = pathlib.Path(sys.prefix, "bin", "gov-services")
command.unlink(missing_ok=True)
command.write_text("""#!/bin/sh
here=$$(dirname -- "$$(readlink -f -- "$$0")")
exec "$$here/python" -P -c 'import sys; sys.argv[0] = "gov-services"; from gov_services.cli.main import main; sys.exit(main())' "$$@"
""")
command.chmod(0o755)
endef
export LINK_CHECKOUT
