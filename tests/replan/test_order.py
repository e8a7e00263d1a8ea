"""Changes in order: no region is over its capacity at any prefix, unless the step says so."""

import dataclasses
import types

import numpy as np
import placements
import pytest

from jaxplace import evaluate, output
from jaxplace.placement import Assignment
from jaxplace.replan import order
from jaxplace.replan.order import running, safe_order


def planned(instance, plan):
    """A placement with just what the order needs."""
    return types.SimpleNamespace(instance=instance, assignment=plan)


def walked(instance, steps):
    """Execute the steps one by one: the largest excess while a safe step was under way."""
    rows = {}
    for row in range(instance.rows):
        rows[instance.request[row], instance.current[row]] = row
    load, worst = running(instance), -np.inf
    for k in range(len(steps)):
        row = rows[steps.request[k], steps.came_from[k]]
        use = [evaluate.use(instance, r, np.array([row])) for r in range(2)]
        source, target, units = steps.came_from[k], steps.region[k], steps.count[k]
        if target >= 0:
            load[target] += [units * u[0, target] for u in use]
            if steps.safe[k]:
                worst = max(worst, (load[target] - instance.capacity[target]).max())
        if source >= 0:
            load[source] -= [units * u[0, source] for u in use]
    return load, worst


def tight(seed, room):
    """An instance where everything runs, and a plan that shuffles it within the capacities."""
    instance = placements.instance(n=80, m=5, seed=seed)
    rng = np.random.default_rng(seed)
    current = rng.integers(-1, 5, instance.rows).astype(np.int32)
    target = rng.permutation(current).astype(np.int32)
    plan = Assignment(np.arange(instance.rows), target, instance.count)
    start = dataclasses.replace(instance, current=current)
    load = evaluate.totals(start, plan).load
    capacity = np.maximum(load, running(start)) * room
    return dataclasses.replace(start, capacity=capacity), plan


@pytest.mark.parametrize("room", [1.0, 1.05, 1.5])
@pytest.mark.parametrize("seed", range(4))
def test_every_prefix_fits(seed, room):
    """Safe steps fit, counted at both ends; all steps together are the plan's changes."""
    instance, plan = tight(seed, room)
    steps = safe_order(planned(instance, plan))
    load, worst = walked(instance, steps)
    assert worst <= 1e-6
    assert np.allclose(load, evaluate.totals(instance, plan).load)
    wanted = output.change_flows(planned(instance, plan))
    for field in ("request", "came_from", "region"):
        assert set(getattr(steps, field)) == set(getattr(wanted, field))
    key = lambda f: f.request * 100 + f.came_from * 10 + f.region  # noqa: E731
    summed = np.bincount(key(steps) + 11, steps.count)
    assert np.array_equal(summed, np.bincount(key(wanted) + 11, wanted.count))
    if room == 1.5:
        assert steps.safe.all()


def ring():
    """Two full regions that exchange one unit each."""
    instance, _ = tight(0, 1.0)
    rows, terms = np.arange(2), instance.terms
    names = ["energy_kwh", "egress_gb", "state_gb", "latency_budget_ms"]
    names += ["origin", "workload", "residency"]
    small = dataclasses.replace(
        instance,
        request=rows,
        request_id=instance.request_id[:2],
        count=np.array([1, 1]),
        current=np.array([0, 1], np.int32),
        use=np.ones((2, 2)),
        unplaced=np.ones(2),
        capacity=np.ones((5, 2)),
        terms=dataclasses.replace(terms, **{name: getattr(terms, name)[:2] for name in names}),
    )
    return small, Assignment(rows, np.array([1, 0], np.int32), np.array([1, 1]))


def test_a_ring_is_named():
    """One of its steps has no room, and says so; with room for one more unit, all have."""
    instance, plan = ring()
    assert sorted(safe_order(planned(instance, plan)).safe.tolist()) == [False, True]
    free = dataclasses.replace(instance, capacity=np.full((5, 2), 2.0))
    assert safe_order(planned(free, plan)).safe.all()


def test_many_rings_end(monkeypatch):
    """Beyond a number of unsafe steps, the rest is taken as it comes."""
    monkeypatch.setattr(order, "MOST_RINGS", 0)
    assert not safe_order(planned(*ring())).safe.any()


def test_nothing_changes():
    """A plan that leaves all where it is has no steps."""
    instance, _ = tight(0, 1.1)
    plan = Assignment(np.arange(instance.rows), instance.current, instance.count)
    assert len(safe_order(planned(instance, plan))) == 0
