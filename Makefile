# All targets work from a bare clone, with nothing but Python (with venv) and make, and as often as you like.
PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/installed
# The example needs what its users need, and not the tools of the suite.
EXAMPLE := .venv-example

# Without its cache, every pytest that the suite starts would rewrite the assertions of all plugins again.
unexport PYTHONDONTWRITEBYTECODE

# Plugins that run tests again, each in a folder of its own: installed, they would be part of every run of the suite.
RERUNS := pytest-rerunfailures==16.7 flaky==3.8.1 pytest-retry==1.7.0

# What `make example` writes: type and file.
REPORTS := json:reports/modelbudget.json markdown:reports/modelbudget.md html:reports/modelbudget.html \
	csv:reports/modelbudget.csv metrics:reports/metrics.txt codequality:reports/gl-code-quality-report.json \
	benchmark:reports/benchmark.json bmf:reports/bmf.json

.PHONY: test quick example docs material pictures clean

test: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest -n 2 --dist worksteal
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report --fail-under=95

quick: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -n 2 --dist worksteal -q -m "not slow"

example: $(EXAMPLE)/installed
	cd example_project && ../$(EXAMPLE)/bin/python -m pytest --junitxml=reports/junit.xml $(REPORTS:%=--modelbudget-report=%)
	@echo "Every format of report: example_project/reports/"

# What the Pages workflow publishes as one version.
docs: $(INSTALLED)
	$(BIN)/python -m sphinx -W --keep-going -n -q -b html docs build/docs
	@echo "The documentation: build/docs/index.html"

# Every surface of a project with a model in every state, to be looked at.
material: $(INSTALLED)
	$(BIN)/python -m tools.material
	@echo "Every surface: build/material/"

# Of the README and the site, from real runs: a comment, the page and a failure, drawn by Chromium.
pictures: $(INSTALLED)
	$(BIN)/python -m tools.pictures

$(INSTALLED): EXTRAS = test
$(EXAMPLE)/installed: EXTRAS = html,xdist
$(INSTALLED) $(EXAMPLE)/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(@D)
	$(@D)/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[$(EXTRAS)]"
	$(if $(filter test,$(EXTRAS)),$(foreach plugin,$(RERUNS),$(@D)/bin/python -m pip install --quiet \
		--disable-pip-version-check --no-deps --target $(@D)/reruns/$(firstword $(subst ==, ,$(plugin))) $(plugin) &&)) true
	touch $@

clean:
	rm -rf .venv $(EXAMPLE) .coverage .coverage.* .hypothesis .mypy_cache .pytest_cache .ruff_cache build dist *.egg-info example_project/reports
