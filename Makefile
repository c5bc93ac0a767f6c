# Two commands do everything on a fresh machine with Python 3.11: `make serve` and `make test`.
PYTHON ?= python3.11
VENV ?= .venv
BIN := $(VENV)/bin
ENGINEHOUSE_HOME ?= $(HOME)/.enginehouse
ENGINEHOUSE_PORT ?= 9997
export ENGINEHOUSE_HOME

PLUGINS := plugins/miniatures plugins/flexible plugins/transformers_engine plugins/llamacpp_engine plugins/sentence_transformers_engine \
           plugins/vllm_engine
PACKAGES := enginehouse.sdk enginehouse.host enginehouse.runner enginehouse.keeper enginehouse.client \
            enginehouse.builtin enginehouse.server enginehouse.testing enginehouse.cli enginehouse_transformers enginehouse_llamacpp \
            enginehouse_sentence_transformers enginehouse_vllm enginehouse_flexible enginehouse_miniatures
STAMP := $(VENV)/.installed
DEV := $(VENV)/.installed-dev
LLAMA_INDEX := $(VENV)/llama-index
PIP := $(BIN)/python -m pip install --quiet --constraint constraints.txt

.PHONY: node serve stop test test-unit test-slow test-gpu bindings check fix docs bench clean install

install: $(DEV) $(LLAMA_INDEX)/.installed

# Everything is installed as a third party's would be: with pip, found through entry points.
$(STAMP): constraints.txt pyproject.toml core/pyproject.toml $(PLUGINS:%=%/pyproject.toml)
	@command -v $(PYTHON) >/dev/null || { echo "Python 3.11 or newer is needed: set PYTHON=/path/to/python3"; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) --editable 'core[server,hub]' --editable plugins/miniatures --editable plugins/flexible \
	  --editable 'plugins/transformers_engine[runtime]' --editable 'plugins/llamacpp_engine[runtime]' \
	  --editable 'plugins/sentence_transformers_engine[runtime]' --editable plugins/vllm_engine --editable .
	touch $(STAMP)

# What tests and checks need on top; a server does without.
$(DEV): $(STAMP) requirements-dev.txt tests/fake_engine/pyproject.toml
	$(PIP) --requirement requirements-dev.txt --editable tests/fake_engine
	touch $(DEV)

# LlamaIndex takes an openai package of before the newest, which other tests need. So it has an environment of its own,
# which borrows what it can from the other one (the .pth file; pip finds it there) and installs the rest.
$(LLAMA_INDEX)/.installed: requirements-llama-index.txt constraints.txt | $(DEV)
	$(BIN)/python -m venv --clear --without-pip $(LLAMA_INDEX)
	$(BIN)/python -c "import sysconfig; print(sysconfig.get_path('purelib'))" > \
	  $$($(LLAMA_INDEX)/bin/python -c "import sysconfig; print(sysconfig.get_path('purelib'))")/borrowed.pth
	grep -v '^openai==' constraints.txt > $(LLAMA_INDEX)/constraints.txt
	$(BIN)/python -m pip --python $(LLAMA_INDEX)/bin/python install --quiet \
	  --constraint $(LLAMA_INDEX)/constraints.txt --requirement requirements-llama-index.txt
	touch $@

# Installs, starts a server, launches the miniature model stoker, and leaves it serving.
serve: $(STAMP)
	@PATH="$(CURDIR)/$(BIN):$$PATH" sh scripts/serve.sh $(ENGINEHOUSE_PORT)

# Ends the server that `make serve` left running, and its models.
stop:
	@PATH="$(CURDIR)/$(BIN):$$PATH" sh scripts/stop.sh

# The example of an engine in another language is tested where Node.js is there; as root it is installed.
node:
	@command -v node >/dev/null || [ "$$(id -u)" != 0 ] || ! command -v apt-get >/dev/null || \
	  { apt-get update -qq && apt-get install -qq -y nodejs; } || echo "Node.js could not be installed: one test is skipped"

# Three files of tests at a time: most wait for servers to start, and two cores are never idle.
AT_ONCE := -n 3 --dist loadfile

# All tests but those marked slow or gpu.
test: node $(DEV) $(LLAMA_INDEX)/.installed
	$(BIN)/python -m pytest -m "not slow and not gpu" $(AT_ONCE)

test-unit: $(DEV)
	$(BIN)/python -m pytest -m "not slow and not gpu" tests/unit

test-slow: $(DEV) $(LLAMA_INDEX)/.installed
	$(BIN)/python -m pytest -m slow

# Installs llama-cpp-python, whose build takes minutes, and tests the engine llama.cpp on both of its bindings.
bindings: $(DEV)
	CMAKE_ARGS=-DGGML_NATIVE=OFF $(PIP) 'llama-cpp-python>=0.3.36'
	$(BIN)/python -m pytest plugins/llamacpp_engine

test-gpu: $(DEV)
	$(BIN)/python -m pytest -m gpu

# Style, types, floors and documentation.
check: $(DEV)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy $(PACKAGES:%=-p %)
	$(BIN)/lint-imports
	$(BIN)/mkdocs build --strict --quiet

fix: $(DEV)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: $(DEV)
	$(BIN)/mkdocs build --strict
	@echo "Open site/index.html"

# Figures of this machine, as docs/explanation/performance.md shows them.
bench: $(DEV)
	$(BIN)/python benchmarks/startup.py
	$(BIN)/python benchmarks/relay.py
	$(BIN)/python benchmarks/launch.py
	$(BIN)/python benchmarks/chat.py
	$(BIN)/python benchmarks/embeddings.py --onnx
	$(BIN)/python benchmarks/keys.py
	$(BIN)/python benchmarks/deployments.py
	$(BIN)/python benchmarks/plugins.py

clean:
	rm -rf $(VENV) site
