"""Marks of a class: one of its tests has to measure a model, and none of them by itself."""

from __future__ import annotations

import pytest

from .models import Head, Net, X


@pytest.mark.budget(macs="22K")
class TestSomeMeasure:
    # expect passed: no properties
    def test_that_measures_nothing(self):
        pass

    # expect passed: modelbudget.Net.macs.limit = 22000
    def test_that_measures(self):
        Net()(X)

    # expect failed: no model was measured
    @pytest.mark.budget(params="23K")
    def test_a_mark_of_its_own_is_judged_by_itself(self):
        pass


@pytest.mark.budget(model="Net", macs="22K")
class TestSomeMeasureTheModel:
    # expect passed: no modelbudget.Head.macs.limit
    def test_that_measures_another_model(self):
        Head()(X[:, :10])

    # expect passed: modelbudget.Net.macs.limit = 22000
    def test_that_measures_the_model(self):
        Net()(X)
