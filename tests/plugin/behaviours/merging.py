"""Limits of the table, of marks and of parameters, merged metric by metric."""

from __future__ import annotations

import pytest
import torch

from .models import Net, X


class TooSmallInTable(Net):
    pass


# expect passed: modelbudget.TooSmallInTable.params.limit = 1000000
@pytest.mark.budget(params="1M")
def test_a_mark_replaces_the_max_of_the_table():
    TooSmallInTable()(X)


# expect failed: note: Ask the serving team first.
@pytest.mark.budget
def test_the_message_of_the_table_is_shown():
    TooSmallInTable()(X)


class GlobExact(Net):
    pass


# expect passed: modelbudget.GlobExact.macs.limit = 1000000
@pytest.mark.budget
def test_the_exact_name_wins_over_a_glob():
    GlobExact()(X)


class GlobOther(Net):
    pass


# expect failed: GlobOther: macs 22.00 K > 1 K
@pytest.mark.budget
def test_a_glob_of_the_table_applies():
    GlobOther()(X)


# expect failed: macs 44.00 K > 22 K
@pytest.mark.parametrize("rows", [pytest.param(2, marks=pytest.mark.budget(macs="22K"))])
def test_a_parameter_may_carry_the_mark(rows):
    Net()(torch.zeros(rows, 100))


# expect failed: macs 44.00 K > 30 K
@pytest.mark.budget(macs="1M")
@pytest.mark.parametrize("rows", [pytest.param(2, marks=pytest.mark.budget(macs="30K"))])
def test_the_mark_of_a_parameter_is_the_closest(rows):
    Net()(torch.zeros(rows, 100))


@pytest.mark.budget(macs="1K")
class Base:
    pass


# expect failed: macs 22.00 K > 1 K
class TestNet(Base):
    def test_a_mark_of_a_base_class_applies(self):
        Net()(X)
