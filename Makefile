# make chat    set up and start the app          make test    all tests, a real browser included
# make tiny    train the bundled checkpoints     make lint    style and types
# make bench-engine    answers against transformers and llama.cpp, as docs/benchmarks.md has them
#
# Each target sets up .venv first; where requirements have not changed that takes no time.
# QUICK=1 make tiny proves the same path in minutes. ARGS="--port 8000" make chat passes flags on.
# A smaller download without a GPU:
#   PIP_EXTRA_INDEX_URL=https://download.pytorch.org/whl/cpu make chat

.DEFAULT_GOAL := help

VENV := .venv
PY := $(VENV)/bin/python
PIP := $(PY) -m pip --disable-pip-version-check install
TORCH := $(shell grep '^torch==' requirements.txt)
RUNTIME := $(VENV)/.runtime-$(shell cat requirements.txt | cksum | cut -d' ' -f1)
DEVELOPMENT := $(VENV)/.development-$(shell cat requirements.txt requirements-dev.txt | cksum | cut -d' ' -f1)

.PHONY: help chat test lint tiny bench-engine
help:
	@sed -n '1,8s/^# \{0,1\}//p' Makefile

chat: $(RUNTIME)
	@exec $(PY) app.py $(ARGS)

tiny: $(RUNTIME)
	@exec $(PY) -m training.tiny $(if $(QUICK),--quick) $(ARGS)

# One thread per process: the tests start several, and the models in them are tiny.
# ARGS="-n 0 tests/FILE" runs one file as it is.
test: $(DEVELOPMENT)
	@CHROMIUM="$$(.ci/chromium)" && export CHROMIUM && .ci/postgresql && \
		OMP_NUM_THREADS=$${OMP_NUM_THREADS:-1} exec $(PY) -m pytest -n 2 --dist loadfile $(ARGS)

lint: $(DEVELOPMENT)
	@$(PY) -m ruff check .
	@$(PY) -m mypy app llava_core training

# The peers: transformers' server comes with the tests' requirements; ARGS=--build-llama once
# builds llama.cpp's. Measure on a machine that does nothing else.
bench-engine: $(DEVELOPMENT)
	@exec $(PY) -m benchmarks.engine $(if $(QUICK),--quick) $(ARGS)

$(PY):
	@python="$$(.ci/python)" && \
		echo "Setting up $(VENV) with $$("$$python" --version)" && \
		"$$python" -m venv $(VENV)

$(RUNTIME): | $(PY)
	@echo "Installing requirements.txt; the first time takes some minutes"
	@$(PIP) $(TORCH)
	@$(PIP) -r requirements.txt
	@rm -f $(VENV)/.runtime-*
	@touch $@

$(DEVELOPMENT): $(RUNTIME)
	@echo "Installing requirements-dev.txt"
	@$(PIP) -r requirements-dev.txt
	@rm -f $(VENV)/.development-*
	@touch $@
