"""The runner: limits, verdicts, and that one method's end is not the others'."""

import dataclasses

import planted
import pytest

from jaxplace.compare.judge import FALSE, INFEASIBLE
from jaxplace.compare.methods import Method
from jaxplace.compare.runner import chosen, compare
from jaxplace.compare.settings import CompareSettings
from jaxplace.errors import InputError


SETTINGS = CompareSettings(time_limit_s=1.0, grace_s=120.0, memory_limit_gb=1.0)
ROGUES = ("crash", "die", "swallow", "refuse", "overload", "forget", "boast", "understate",
          "negative_duals", "unreadable", "honest")  # fmt: skip


def rogue(name, **words):
    """A method of the module rogues."""
    return Method("rogues", name, name, **words)


@pytest.fixture(scope="module")
def rows():
    """Every rogue on one instance, the honest one last."""
    instance, _ = planted.tight_knapsack()
    absent = {"absent": rogue("honest", packages=(("no_such_module", "no-such-package"),))}
    methods = absent | {name: rogue(name) for name in ROGUES}
    found = compare({"planted": instance}, methods, SETTINGS)
    return {row.method: row for row in found}


@pytest.mark.parametrize(
    ("name", "verdict", "said"),
    [
        ("absent", "missing", "pip install no-such-package"),
        ("crash", "failed", "RuntimeError: boom"),
        ("die", "failed", "code 7"),
        ("swallow", "out_of_memory", "memory_limit_gb"),
        ("refuse", "not_applicable", "not for me"),
        ("overload", INFEASIBLE, "exceeded"),
        ("forget", INFEASIBLE, "infeasible"),
        ("unreadable", INFEASIBLE, "cannot be read"),
        ("boast", FALSE, "a certified one costs"),
        ("understate", FALSE, "it says that its plan costs"),
        ("negative_duals", FALSE, "its duals prove nothing"),
        ("honest", "finished", ""),
    ],
)
def test_each_is_shown_as_what_it_is(rows, name, verdict, said):
    """Verdict and message of every kind of end."""
    row = rows[name]
    assert row.verdict == verdict
    assert said in "; ".join([*row.faults, row.message])


def test_nothing_false_is_counted(rows):
    """A plan that breaks rules has no objective; duals that prove nothing give no bound."""
    assert all(row.objective_usd is None for row in rows.values() if row.verdict == INFEASIBLE)
    assert rows["negative_duals"].bound_usd is None
    assert rows["boast"].bound_usd is None
    assert rows["honest"].objective_usd == pytest.approx(40.0)


def test_a_hanging_method_is_killed():
    """After limit and grace it is gone, and the next one runs."""
    instance, _ = planted.one_region_suffices()
    settings = dataclasses.replace(SETTINGS, time_limit_s=0.5, grace_s=1.0)
    told = []
    found = compare({"x": instance}, {"hang": rogue("hang")}, settings, progress=told.append)
    assert found[0].outcome == "timed_out"
    assert "killed after 1.5 s" in found[0].message
    assert told == ["x: hang (hang)"]


def test_methods_are_chosen_by_name():
    """All by default; unknown names are refused with what there is."""
    assert list(chosen(["greedy", "highs_lp"])) == ["greedy", "highs_lp"]
    assert len(chosen([])) > 10
    with pytest.raises(InputError, match="no method gurobi"):
        chosen(["gurobi"])
