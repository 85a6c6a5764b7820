# All targets work from a bare clone, with nothing but Python (with venv) and make, and as often as you like.
PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/installed

# Without its cache, every pytest that the suite starts would rewrite the assertions of all plugins again.
unexport PYTHONDONTWRITEBYTECODE

# What `make quick` leaves to `make test`, beside the tests marked workers and coverage.
LONG := $(addprefix tests/conformance/test_,architectures.py footprint.py invariance.py)

.PHONY: test quick example clean

test: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest -n 2
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report --fail-under=95

quick: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -n 2 -q -m "not workers" $(LONG:%=--ignore=%)

example: $(INSTALLED)
	cd example_project && ../$(BIN)/python -m pytest

$(INSTALLED): pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[test]"
	touch $@

clean:
	rm -rf .venv .coverage .coverage.* .hypothesis .mypy_cache .pytest_cache .ruff_cache build dist *.egg-info
