"""What a model costs: measure it, observe it, teach it custom operators. Knows torch, nothing of pytest or budgets."""

from pytest_modelbudget.counting.asking.caches import add_names as add_names_of_caches
from pytest_modelbudget.counting.measuring import force_real_run, measure, measure_also
from pytest_modelbudget.counting.observing.observation import Observation
from pytest_modelbudget.counting.observing.observer import observe
from pytest_modelbudget.counting.operators.registry import add_formulas, formula
from pytest_modelbudget.measurement import MeasurementError

__all__ = [
    "MeasurementError",
    "Observation",
    "add_formulas",
    "add_names_of_caches",
    "force_real_run",
    "formula",
    "measure",
    "measure_also",
    "observe",
]
