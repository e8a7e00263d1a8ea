"""The linear program, merged rows, and the common rounding."""

import time

import highs
import numpy as np
import pytest
from instances import dense_instance, random_instance
from scipy.optimize import linprog

from jaxplace import evaluate
from jaxplace.certify import certify
from jaxplace.compare.answer import Fraction
from jaxplace.compare.finish import whole_units
from jaxplace.compare.merged import ROW_TERMS, merge
from jaxplace.compare.model import Model
from jaxplace.placement import Assignment, Duals


SETTINGS = {"candidates": 4, "seed": 0, "deadline": float("inf")}


def twins(seed=0, **words):
    """A random instance in which every third row is a copy of the row before it."""
    instance = random_instance(seed, **words)
    rows = np.arange(instance.rows)
    rows[2::3] -= 1
    for name in ROW_TERMS:
        getattr(instance.terms, name)[:] = getattr(instance.terms, name)[rows]
    for name in ("current", "use", "unplaced"):
        getattr(instance, name)[:] = getattr(instance, name)[rows]
    return instance


def solved(model):
    """Solution, multipliers and value of a model [USD]."""
    k = len(model.count)
    matrix = model.matrix()
    found = linprog(model.cost, A_ub=matrix[k:], b_ub=model.limit, A_eq=matrix[:k],
                    b_eq=model.count, method="highs")  # fmt: skip
    assert found.status == 0, found.message
    return found.x, -found.ineqlin.marginals, found.fun * model.usd


PROGRAMS = [twins(), twins(1), dense_instance(0), dense_instance(1, resources=2)]


@pytest.mark.parametrize("scaled", [True, False])
@pytest.mark.parametrize("instance", PROGRAMS, ids=["twins", "twins1", "dense", "two"])
def test_the_program_is_the_relaxation(instance, scaled):
    """Its optimum is HiGHS's of the unmerged relaxation; its duals certify it."""
    model = Model.of(instance, scaled=scaled)
    values, duals, usd = solved(model)
    assert usd == pytest.approx(highs.lp_optimum(instance), rel=1e-7)
    nobody = Assignment(np.arange(instance.rows), np.full(instance.rows, -1, np.int32),
                        instance.count)  # fmt: skip
    proof = certify(instance, nobody, model.duals(duals))
    assert proof.lower_bound_usd == pytest.approx(usd, rel=1e-6)
    flows = model.fraction(values)
    on = flows.region >= 0
    billed = flows.amount[on] @ evaluate.cost(instance, flows.row[on], flows.region[on])
    billed += flows.amount[~on] @ instance.unplaced[flows.row[~on]]
    assert billed == pytest.approx(usd, rel=1e-6)


def test_twins_are_joined():
    """Copies become one row with the sum of their counts, and a plan of it is split again."""
    instance = twins(2)
    merged = merge(instance)
    copies = instance.rows // 3
    assert merged.instance.rows == instance.rows - copies
    assert merged.instance.count.sum() == instance.count.sum()
    for i, k in enumerate(merged.of):
        assert instance.terms.energy_kwh[i] == merged.instance.terms.energy_kwh[k]
    rng = np.random.default_rng(0)
    row = np.repeat(np.arange(merged.instance.rows), 2)
    part = rng.integers(0, merged.instance.count + 1)
    count = np.stack([part, merged.instance.count - part], 1).ravel()
    region = np.tile([3, 5], merged.instance.rows).astype(np.int32)
    on = count > 0
    plan = merged.split(Assignment(row[on], region[on], count[on]))
    assert np.array_equal(np.bincount(plan.row, plan.count, instance.rows), instance.count)
    for k in range(merged.instance.rows):
        here = merged.of[plan.row] == k
        assert plan.count[here & (plan.region == 3)].sum() == part[k]


def test_parts_are_shares():
    """A part has its rows, and its share of every limit."""
    model = Model.of(dense_instance(2))
    rows = np.arange(0, 30, 2)
    part = model.part(rows, 0.5)
    assert np.array_equal(part.limit, model.limit * 0.5)
    assert np.array_equal(part.count, model.count[rows])
    for k, i in enumerate(rows):
        mine, whole = (
            slice(part.start[k], part.start[k + 1]),
            slice(model.start[i], model.start[i + 1]),
        )
        assert np.array_equal(part.region[mine], model.region[whole])
        assert np.array_equal(part.cost[mine], model.cost[whole])


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("with_duals", [True, False])
def test_rounding_gives_feasible_plans(seed, with_duals):
    """Whatever the features; near the relaxation where the duals are good."""
    instance = twins(seed)
    model = Model.of(instance)
    values, duals, usd = solved(model)
    found = whole_units(instance, model.fraction(values),
                        model.duals(duals) if with_duals else None, **SETTINGS)  # fmt: skip
    proof = certify(instance, found, model.duals(duals))
    assert proof.feasible, proof.violations
    assert proof.objective_usd >= usd * (1 - 1e-9)
    if with_duals:
        assert proof.gap < 0.15


def test_rounding_takes_anything():
    """Amounts that are too many, too few, or where nothing is allowed."""
    instance = random_instance(5)
    n = instance.rows
    flows = Fraction(
        np.repeat(np.arange(n), 3), np.tile([0, 3, -1], n), np.tile([7.3, 0.2, 1.0], n)
    )
    nothing = Fraction(np.zeros(0, int), np.zeros(0, int), np.zeros(0))
    for fraction in (flows, nothing):
        plan = whole_units(instance, fraction, None, **SETTINGS)
        assert certify(instance, plan, Duals(np.zeros(instance.capacity.shape))).feasible


def test_whole_answers_stay():
    """What is whole and feasible already is not made worse."""
    instance = dense_instance(3)
    best = highs.mip_assignment(instance)
    fraction = Fraction(best.row, best.region, best.count.astype(float))
    plan = whole_units(instance, fraction, None, **(SETTINGS | {"deadline": time.perf_counter()}))
    nothing = Duals(np.zeros(instance.capacity.shape))
    assert (certify(instance, plan, nothing).objective_usd
            <= certify(instance, best, nothing).objective_usd + 1e-9)  # fmt: skip
