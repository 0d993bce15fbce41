# The one door: `make trial` runs the first trial, `make test` is the whole truth, `make check` is the quick part.

PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready
RESULTS := .results

.PHONY: trial test check lint types unit real bench soak docs lock clean

# What passed last is kept in .results/ for the table of requirements (make docs).

trial: $(READY)
	$(BIN)/seatrial run radicale

test: check real

check: lint types unit

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(READY)
	$(BIN)/mypy

unit: $(READY)
	$(BIN)/pytest -m "not real and not soak" -n 2 --junitxml $(RESULTS)/unit.xml

real: $(READY)
	$(BIN)/pytest -m "real and not soak" -n 2 --dist loadfile --junitxml $(RESULTS)/real.xml

soak: $(READY)
	$(BIN)/pytest -m soak --timeout 7200

bench: $(READY)
	$(BIN)/python bench/all.py

docs: $(READY)
	$(BIN)/python -m tools.generate

# Everything is pinned; `make lock` renews the pins.
$(READY): requirements.lock pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit("seatrial needs Python 3.11 or newer; set PYTHON=...") if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	@touch $(READY)

lock:
	rm -rf .venv-lock && $(PYTHON) -m venv .venv-lock
	.venv-lock/bin/python -m pip install --quiet --upgrade '.[dev]'
	.venv-lock/bin/python -m pip freeze --exclude seatrial > requirements.lock
	rm -rf .venv-lock

clean:
	rm -rf .venv .mypy_cache .ruff_cache .hypothesis $(RESULTS) dist build runs
