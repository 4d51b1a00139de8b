# One command for each habit. The first use of any of them makes .venv/ with everything in it.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
LIMIT ?= 100

export HF_HUB_OFFLINE ?= 1
export HF_HUB_DISABLE_TELEMETRY = 1
export TOKENIZERS_PARALLELISM ?= true
unexport PYTHONDONTWRITEBYTECODE  # compile once, not in each process of the tests

.PHONY: demo quick test check bench docs docs-demo clean

demo: $(READY)  ## run the embedded models on the embedded tasks; ends with the path of an HTML report
	$(BIN)/gpteval run --models nano --tasks nano --shots 0,5 --limit $(LIMIT) --out runs/demo

quick: $(READY)  ## the tests between two edits: all but those marked as slow
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder -m "not slow" tests

test: $(READY)  ## all tests
	$(BIN)/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder tests

check: $(READY)  ## lint, types, whether the generated docs are current, known vulnerabilities
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python scripts/make_docs.py --check
	$(BIN)/python scripts/audit.py

bench: $(READY)  ## speed of the engine on this machine
	$(BIN)/gpteval bench --model gpt2-nano

docs: $(READY)  ## write the generated parts of the docs anew
	$(BIN)/python scripts/make_docs.py

docs-demo: $(READY)  ## run the demo, keep its numbers and a picture of its report for the docs (needs Chromium)
	$(BIN)/python scripts/make_demo.py
	$(BIN)/python scripts/make_steps.py
	$(BIN)/python scripts/make_docs.py

# torch first and by its exact version: a plain install could take a build for other hardware.
$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet -c constraints.txt torch
	$(BIN)/python -m pip install --quiet -c constraints.txt -e ".[dev]"
	touch $(READY)

clean:
	rm -rf $(VENV) runs dist build .pytest_cache .mypy_cache .ruff_cache
