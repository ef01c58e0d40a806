# `make` alone lists the targets. Everything is installed by name and checked against requirements/*.txt by hash.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.ONESHELL:
MAKEFLAGS += --no-print-directory

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
CARGO := $(shell command -v cargo 2>/dev/null)
NATIVE := relay/native
LOAD_NATIVE := loadtests/native
NATIVE_SOURCES := $(shell find $(NATIVE) -name target -prune -o \( -name '*.rs' -o -name 'Cargo.*' \) -print)
PACKAGES := config auth relay broker
PIP_INSTALL := $(BIN)/pip install --quiet --disable-pip-version-check

# Every suite has a budget in seconds: a hang fails the run instead of holding it.
SUITES := spec:180 wire:60 contract:60 property:180 fuzz:60 house:180 edge:540 directories:180 acceptance:400 browser:720

# What the tests need beside Python: real servers to test against, a browser, and tools to look at sockets.
DEBIAN_PACKAGES := coturn chromium iproute2 nftables tcpdump strace libnss3-tools \
    slapd ldap-utils samba-ad-dc samba-ad-provision

# What those packages would start by themselves.
DEBIAN_SERVICES := coturn slapd smbd nmbd winbind samba-ad-dc

.PHONY: help
help: ## List the targets
	@grep -hE '^[a-z][a-z-]*:.*## ' $(MAKEFILE_LIST) | sort | awk -F ':.*## ' '{printf "  make %-14s %s\n", $$1, $$2}'

# -- setting up ----------------------------------------------------------------------------------------------------

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Turngate needs Python 3.11 or newer")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.setup: requirements/build.txt requirements/runtime.txt pyproject.toml $(NATIVE_SOURCES) | $(BIN)/python
	@echo 'installing what Turngate needs into $(VENV)' >&2
	$(PIP_INSTALL) --require-hashes -r requirements/build.txt
	$(PIP_INSTALL) --require-hashes -r requirements/runtime.txt
	$(PIP_INSTALL) --no-deps --no-build-isolation -e .
	if [ -n "$(CARGO)" ]; then
	    $(BIN)/python -c 'import relay._native' || { echo 'cargo is present but the native relay was not built' >&2; exit 1; }
	else
	    echo 'no cargo on the PATH: the portable relay is used' >&2
	fi
	touch $@

$(VENV)/.setup-test: requirements/test.txt $(VENV)/.setup
	@echo 'installing what the tests need into $(VENV)' >&2
	$(PIP_INSTALL) --require-hashes -r requirements/test.txt
	touch $@

.PHONY: setup
setup: $(VENV)/.setup ## Install Turngate and what it needs into .venv

.PHONY: setup-test
setup-test: $(VENV)/.setup-test setup-debian ## Install what the tests need too (Debian packages when root)

.PHONY: setup-debian
setup-debian:
	@command -v dpkg-query >/dev/null && [ "$$(id -u)" = 0 ] || exit 0
	missing=()
	for package in $(DEBIAN_PACKAGES); do
	    [ "$$(dpkg-query -W -f='$${db:Status-Status}' $$package 2>/dev/null)" = installed ] || missing+=("$$package")
	done
	command -v node >/dev/null || missing+=(nodejs npm)
	[ "$${#missing[@]}" -gt 0 ] || exit 0
	echo "installing Debian packages: $${missing[*]}" >&2
	export DEBIAN_FRONTEND=noninteractive
	services=$$(systemctl list-unit-files --plain --no-legend 2>/dev/null || true)
	apt-get update -qq
	# No service of ours is meant to run: invoke-rc.d is told so while the packages are unpacked.
	RUNLEVEL=1 apt-get install -y -qq --no-install-recommends "$${missing[@]}" >/dev/null
	if [ -d /run/systemd/system ]; then
	    for service in $(DEBIAN_SERVICES); do
	        [[ "$$services" == *"$$service.service"* ]] || systemctl disable --quiet --now $$service 2>/dev/null || true
	    done
	fi

# -- using ---------------------------------------------------------------------------------------------------------

.PHONY: demo
demo: setup ## Run the whole product with its embedded defaults [ADDRESS=ip]
	@$(BIN)/turngate demo $(if $(ADDRESS),--address $(ADDRESS))

$(VENV)/.setup-load: requirements/load.txt $(VENV)/.setup-test
	@echo 'installing what the load tests need into $(VENV)' >&2
	$(PIP_INSTALL) --require-hashes -r requirements/load.txt
	touch $@

.PHONY: load
load: $(VENV)/.setup-load setup-debian ## Measure the relay beside coturn and a bare switch; write the report [ARGS=...]
	@cargo build --quiet --locked --release --manifest-path $(LOAD_NATIVE)/Cargo.toml
	$(BIN)/python -m loadtests.load $(ARGS)

.PHONY: soak
soak: setup-test ## Hold an eleven-minute call through a served edge; not one media packet may be lost
	@$(BIN)/python -m loadtests.soak

.PHONY: soak-browser
soak-browser: setup-test ## The same between two Chromium pages
	@$(BIN)/python -m loadtests.soak_browser

$(VENV)/.setup-fuzz: requirements/fuzz.txt $(VENV)/.setup
	@echo 'installing what fuzzing needs into $(VENV)' >&2
	$(PIP_INSTALL) --require-hashes -r requirements/fuzz.txt
	touch $@

.PHONY: fuzz
fuzz: $(VENV)/.setup-fuzz ## Fuzz the parsers, the planes and the TURN core, so long in all [SECONDS=600]
	@$(BIN)/python -m tests.fuzz.run $(or $(SECONDS),600)

# Only a nightly compiler has the sanitizer; the standard library it brings is not instrumented, which the one flag says.
.PHONY: sanitize
sanitize: ## Run threads over the native plane's shared table under a thread sanitizer (nightly Rust)
	@cd $(NATIVE)
	RUSTFLAGS='-Zsanitizer=thread -Cunsafe-allow-abi-mismatch=sanitizer' cargo +nightly test --quiet --locked \
	    --package turngate-rows --test shared_table --target "$$(rustc -vV | sed -n 's/host: //p')" --target-dir target/sanitize

.PHONY: docs
docs: setup ## Write the reference pages and sample files that are generated from declarations
	@$(BIN)/python -m config.reference

# -- proving -------------------------------------------------------------------------------------------------------

.PHONY: test
test: setup-test ## Install everything, then run every test suite, each within its budget
	@failed=()
	for suite in $(SUITES); do
	    directory=tests/$${suite%%:*}
	    [ -n "$$(find "$$directory" -name 'test_*.py' -print -quit 2>/dev/null)" ] || continue
	    echo "== $$directory (at most $${suite##*:} s)"
	    timeout --kill-after=10 "$${suite##*:}" $(BIN)/pytest "$$directory" || failed+=("$$directory")
	done
	if [ "$${#failed[@]}" -gt 0 ]; then echo "failed: $${failed[*]}" >&2; exit 1; fi

.PHONY: check
check: check-python check-native check-web ## Format, lint, types and import laws

.PHONY: check-python
check-python: $(VENV)/.setup-test
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

.PHONY: check-native
check-native:
ifneq ($(CARGO),)
	for workspace in $(NATIVE) $(LOAD_NATIVE); do
	    cd "$(CURDIR)/$$workspace"
	    cargo fmt --all --check
	    cargo clippy --quiet --locked --workspace --all-targets -- -D warnings
	    cargo test --quiet --locked --workspace --exclude turngate-native
	done
else
	@echo 'no cargo on the PATH: the Rust sources were not checked' >&2
endif

WEB_TOOLS := tests/browser/node_modules/.package-lock.json

$(WEB_TOOLS): tests/browser/package.json tests/browser/package-lock.json
	npm ci --prefix tests/browser --silent --no-audit --no-fund --ignore-scripts
	touch $@

# The browser's modules are served as they are written; the type checker only reads them.
.PHONY: check-web
check-web: $(WEB_TOOLS)
	tests/browser/node_modules/.bin/tsc --project broker/web/jsconfig.json
	node --test tests/browser/*.test.js

.PHONY: format
format: $(VENV)/.setup-test ## Format the Python and Rust sources in place
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .
	$(if $(CARGO),for workspace in $(NATIVE) $(LOAD_NATIVE); do (cd $$workspace && cargo fmt --all); done)

# -- keeping house -------------------------------------------------------------------------------------------------

PIP_COMPILE = CUSTOM_COMPILE_COMMAND='make requirements' $(BIN)/pip-compile --quiet --generate-hashes --allow-unsafe \
    --no-emit-index-url --no-emit-find-links --no-emit-trusted-host --strip-extras --no-annotate

.PHONY: requirements
requirements: $(VENV)/.setup-test ## Pin the dependencies of pyproject.toml again, with hashes
	$(PIP_COMPILE) -o requirements/build.txt requirements/build.in
	$(PIP_COMPILE) -c requirements/build.txt -o requirements/runtime.txt pyproject.toml
	$(PIP_COMPILE) --extra test --extra dev -c requirements/runtime.txt -c requirements/build.txt \
	    -o requirements/test.txt pyproject.toml
	$(PIP_COMPILE) --extra fuzz -c requirements/runtime.txt -o requirements/fuzz.txt pyproject.toml
	$(PIP_COMPILE) --extra load -c requirements/test.txt -o requirements/load.txt pyproject.toml

.PHONY: clean
clean: ## Remove what was built and what tools cached; .venv and var stay
	rm -rf build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	rm -rf $(NATIVE)/target $(LOAD_NATIVE)/target relay/_native*.so tests/artefacts
	find $(PACKAGES) tests loadtests -name __pycache__ -type d -prune -exec rm -rf {} +
