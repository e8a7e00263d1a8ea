"""The certificate: its bound against HiGHS, its two passes against each other, and its eyes."""

from dataclasses import replace

import numpy as np
import pytest
from highs import MIP_GAP, lp_duals, lp_optimum, mip_assignment, mip_optimum
from instances import FEATURES, dense_instance, random_instance

from jaxplace import evaluate
from jaxplace.baselines import baseline_assignments
from jaxplace.certify import bound as bound_module, certify, lower_bound, native_bound, numpy_bound
from jaxplace.instance import Instance, Policy
from jaxplace.placement import Assignment, Duals


def some_duals(instance: Instance, seed: int = 0) -> Duals:
    """Random duals of every limit that the instance has."""
    rng = np.random.default_rng(seed)
    return Duals(
        capacity=rng.exponential(0.1, instance.capacity.shape),
        moves=0.03 if instance.policy.max_moves is not None else 0.0,
        carbon=0.05 if instance.policy.carbon_cap_kg is not None else 0.0,
    )


def tiny() -> tuple[Instance, Assignment, Duals]:
    """Three units, two regions of one unit each; region 0 is cheaper by 4."""
    instance = Instance.from_arrays(
        cost=[[1.0, 5.0]], use=[1.0], capacity=[1.0, 1.0], count=[3], unplaced=[10.0]
    )
    plan = Assignment(np.array([0, 0, 0]), np.array([-1, 0, 1], np.int32), np.array([1, 1, 1]))
    return instance, plan, Duals(np.array([[9.0], [5.0]]))


def test_a_certificate_by_hand():
    """Cost 1 + 5 + 10 = 16; at the duals 9 and 5 every option costs 10, so 30 - 14 = 16."""
    found = certify(*tiny())
    assert found.feasible
    assert found.violations == ()
    assert found.cost == {"cost_usd": 6.0, "unplaced_usd": 10.0}
    assert found.objective_usd == 16.0
    assert found.lower_bound_usd == pytest.approx(16.0, rel=1e-12)
    assert found.lower_bound_usd < 16.0
    assert found.gap == 0.0
    assert (found.units, found.placed, found.unplaced, found.unservable) == (3, 2, 1, 0)
    assert found.allowed_pairs == 2


@pytest.mark.parametrize("seed", range(5))
def test_the_bound_is_the_contract_formula(seed):
    """CONTRACT section 1 pair by pair in plain Python, with the budgets' terms."""
    instance = random_instance(seed)
    duals, policy = some_duals(instance, seed), instance.policy
    everything = np.arange(instance.rows)
    ok, part = evaluate.allowed(instance, everything), evaluate.parts(instance, everything)
    bound = -(instance.capacity * duals.capacity).sum()
    bound -= duals.moves * policy.max_moves + duals.carbon * policy.carbon_cap_kg
    for i in everything:
        options = [instance.unplaced[i]]
        for j in np.nonzero(ok[i])[0]:
            usd = sum(values[i, j] for values in part.cost.values())
            usd += duals.moves * part.move[i, j] + duals.carbon * part.kg[i, j]
            for r in range(len(instance.resources)):
                factor = instance.terms.use_factor[instance.terms.workload[i], j]
                usd += instance.use[i, r] * factor * duals.capacity[j, r]
            options.append(usd)
        bound += instance.count[i] * min(options)
    assert lower_bound(instance, duals).lower_bound_usd == pytest.approx(bound, rel=1e-12)


@pytest.mark.parametrize("without", [*sorted(FEATURES), None])
def test_the_two_passes_agree(without):
    """NumPy and the loop find the same allowed pairs and, to the last bits, the same minima."""
    for seed in range(3):
        instance = random_instance(seed, n=70, features=FEATURES - {without})
        duals = some_duals(instance, seed)
        best, pairs = numpy_bound.cheapest(instance, duals)
        other, other_pairs = native_bound.cheapest(instance, duals)
        assert pairs == other_pairs
        np.testing.assert_allclose(best, other, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("regions", [1, 63, 64, 65, 200])
def test_regions_that_do_not_fill_a_tile(regions):
    """The padding of the last tile is no region: it is neither counted nor chosen."""
    instance = random_instance(1, n=50, m=regions, features=FEATURES - {"zero_capacity"})
    duals = some_duals(instance)
    best, pairs = numpy_bound.cheapest(instance, duals)
    other, other_pairs = native_bound.cheapest(instance, duals)
    assert pairs == other_pairs
    np.testing.assert_allclose(best, other, rtol=1e-12, atol=1e-14)


def test_ties_with_a_budget_are_decided_alike():
    """Budgets that are met to the last bit, or missed by one, in both passes."""
    instance = random_instance(2, n=400, features={"latency", "hosting", "residency"})
    terms, rng = instance.terms, np.random.default_rng(0)
    region = rng.integers(0, instance.regions, instance.rows)
    time = terms.rtt_ms[terms.origin, region] * (1 + instance.policy.latency_margin)
    time = time + terms.service_ms[terms.workload, region]
    below = np.nextafter(time, 0.0)
    terms.latency_budget_ms[:] = np.where(rng.random(instance.rows) < 0.5, time, below)
    best, pairs = numpy_bound.cheapest(instance, some_duals(instance))
    other, other_pairs = native_bound.cheapest(instance, some_duals(instance))
    assert pairs == other_pairs
    np.testing.assert_array_equal(np.isfinite(best), np.isfinite(other))


def test_units_that_fill_a_region_are_decided_alike():
    """Uses equal to a capacity, or a bit above it, in both passes."""
    instance = random_instance(3, n=300, features={"hosting", "two_resources"})
    terms, rng = instance.terms, np.random.default_rng(0)
    region = rng.integers(0, instance.regions, instance.rows)
    factor = terms.use_factor[terms.workload, region][:, None]
    full = instance.capacity[region] / factor
    instance.use[:] = np.where(rng.random(full.shape) < 0.5, full, np.nextafter(full, np.inf))
    best, pairs = numpy_bound.cheapest(instance, some_duals(instance))
    other, other_pairs = native_bound.cheapest(instance, some_duals(instance))
    assert pairs == other_pairs
    np.testing.assert_array_equal(np.isfinite(best), np.isfinite(other))


def test_the_loop_neither_reorders_nor_fuses():
    """What decides a tie may not be compiled with licences of fast arithmetic."""
    assert not native_bound._scan.targetoptions.get("fastmath")


def test_large_instances_take_the_compiled_loop(monkeypatch):
    """Past the threshold the bound is the same, from the other pass."""
    instance = random_instance(1)
    duals = some_duals(instance)
    small = lower_bound(instance, duals)
    monkeypatch.setattr(bound_module, "NUMPY_PAIRS", 0)
    monkeypatch.setattr(numpy_bound, "cheapest", None)
    large = lower_bound(instance, duals)
    assert large.lower_bound_usd == pytest.approx(small.lower_bound_usd, rel=1e-12)
    assert large.allowed_pairs == small.allowed_pairs
    assert large.unservable == small.unservable


@pytest.mark.parametrize("without", [*sorted(FEATURES), None])
def test_the_bound_is_below_the_optimum(without):
    """Any duals: bound <= LP optimum <= MIP optimum <= every feasible plan."""
    instance = random_instance(5, n=14, m=4, features=FEATURES - {without})
    relaxed, whole = lp_optimum(instance), mip_optimum(instance)  # `whole` errs on the low side
    for seed in range(5):
        assert lower_bound(instance, some_duals(instance, seed)).lower_bound_usd <= relaxed + 1e-9
    assert relaxed <= whole + 1e-6
    for plan in baseline_assignments(instance).values():
        found = certify(instance, plan, some_duals(instance))
        assert found.feasible
        assert whole <= found.objective_usd + 1e-6


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("make", [random_instance, dense_instance])
def test_good_duals_prove_a_good_plan(make, seed):
    """At the relaxation's duals the bound is its optimum, and the best plan is near it."""
    instance = make(seed, n=25, m=5)
    duals = lp_duals(instance)
    found = certify(instance, mip_assignment(instance), duals)
    assert found.feasible, found.violations
    assert found.lower_bound_usd == pytest.approx(lp_optimum(instance), rel=1e-8)
    assert found.objective_usd == pytest.approx(mip_optimum(instance), rel=2 * MIP_GAP)
    assert 0 <= found.gap < 1


def test_rounding_is_allowed_for_and_small():
    """The allowance is positive and below 1e-9 of the bound."""
    found = lower_bound(random_instance(0, n=500), some_duals(random_instance(0, n=500)))
    assert 0 < found.rounding_usd < 1e-9 * abs(found.servable_usd)


def test_units_that_nobody_may_serve_are_set_apart():
    """Their penalty is in objective and bound, and in neither side of the gap."""
    instance = random_instance(6, n=60, features={"egress", "unservable", "latency"})
    duals = lp_duals(instance)
    plan = mip_assignment(instance)
    dead = ~evaluate.allowed(instance, np.arange(instance.rows)).any(axis=1)
    assert dead.any()
    found = certify(instance, plan, duals)
    penalty = (instance.count * instance.unplaced)[dead].sum()
    assert found.unservable == instance.count[dead].sum()
    assert found.unservable_usd == pytest.approx(penalty)
    dearer = replace(instance, unplaced=np.where(dead, 1e6, instance.unplaced))
    assert certify(dearer, plan, duals).gap == pytest.approx(found.gap, rel=1e-6)


def test_if_nothing_can_be_served_the_gap_is_zero():
    """Objective and bound are both 0 without the unservable units."""
    instance = random_instance(0)
    instance.terms.latency_budget_ms[:] = -1.0
    rows = np.arange(instance.rows)
    plan = Assignment(rows, np.full(len(rows), -1, np.int32), instance.count)
    found = certify(instance, plan, Duals(np.zeros(instance.capacity.shape)))
    assert found.feasible
    assert found.gap == 0.0
    assert found.unservable == found.units
    assert found.lower_bound_usd == pytest.approx(found.objective_usd)


def test_an_objective_of_zero_above_its_bound_is_infinitely_far():
    """No share of 0 explains a difference."""
    instance = Instance.from_arrays(
        cost=[[-1.0], [-1.0]], use=[1.0, 1.0], capacity=[2.0], unplaced=[0.0, 0.0]
    )
    nowhere = Assignment(np.array([0, 1]), np.array([-1, -1]), np.array([1, 1]))
    assert certify(instance, nowhere, Duals(np.zeros((1, 1)))).gap == np.inf


def small_plan() -> tuple[Instance, Assignment]:
    """A feasible plan of an instance with both budgets set and nearly used up."""
    instance = random_instance(8, n=30, m=5)
    plan = baseline_assignments(instance)["greedy"]
    found = certify(instance, plan, Duals(np.zeros(instance.capacity.shape)))
    assert found.feasible
    assert found.moves > 0
    policy = replace(instance.policy, max_moves=float(found.moves), carbon_cap_kg=found.carbon_kg)
    return replace(instance, policy=policy), plan


def changed(plan: Assignment, name: str, at: int, value: int) -> Assignment:
    """The plan with one number of one flow replaced."""
    values = getattr(plan, name).copy()
    values[at] = value
    return replace(plan, **{name: values})


def placed_flow(plan: Assignment) -> int:
    """A flow that runs somewhere."""
    return int(np.argmax(plan.region >= 0))


def forbidden_region(instance: Instance, plan: Assignment) -> Assignment:
    """A flow moved to a region where it is not allowed."""
    ok = evaluate.allowed(instance, plan.row)
    at = int(np.argmax((plan.region >= 0) & ~ok.all(axis=1)))
    return changed(plan, "region", at, int(np.argmin(ok[at])))


CORRUPTIONS = {
    "one unit too many": (
        lambda i, p: changed(p, "count", 0, int(p.count[0]) + 1),
        "do not sum to their count",
    ),
    "a row left out": (
        lambda i, p: Assignment(p.row[1:], p.region[1:], p.count[1:]),
        "do not sum to their count",
    ),
    "a count of zero": (lambda i, p: changed(p, "count", 0, 0), "not positive"),
    "a negative count": (lambda i, p: changed(p, "count", 0, -1), "not positive"),
    "a region that is not there": (
        lambda i, p: changed(p, "region", len(p.row) - 1, i.regions),
        "outside [-1, 5)",
    ),
    "a region below -1": (lambda i, p: changed(p, "region", 0, -2), "outside [-1, 5)"),
    "a row that is not there": (
        lambda i, p: changed(p, "row", len(p.row) - 1, i.rows),
        "outside [0, 30)",
    ),
    "a row below 0": (lambda i, p: changed(p, "row", 0, -1), "outside [0, 30)"),
    "a region that is not allowed": (forbidden_region, "not allowed"),
    "flows out of order": (
        lambda i, p: Assignment(p.row[::-1], p.region[::-1], p.count[::-1]),
        "sorted",
    ),
    "a flow twice": (
        lambda i, p: Assignment(*(np.repeat(x, 2) for x in (p.row, p.region, p.count))),
        "once",
    ),
}


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_corrupted_plans_are_caught(name):
    """Each way to spoil a plan is named, and leaves no gap to believe in."""
    instance, plan = small_plan()
    corrupt, words = CORRUPTIONS[name]
    found = certify(instance, corrupt(instance, plan), some_duals(instance))
    assert not found.feasible
    assert found.gap == np.inf
    assert any(words in sentence for sentence in found.violations), found.violations


@pytest.mark.parametrize(
    ("limit", "words"),
    [("capacity", "capacities exceeded"), ("moves", "units move"), ("carbon", "kg of carbon")],
)
def test_a_limit_is_a_limit(limit, words):
    """A plan that just keeps a limit breaks one that is lower by a millionth (or a move)."""
    instance, plan = small_plan()
    load = evaluate.totals(instance, plan).load
    instance = replace(instance, capacity=np.maximum(load, 0.0) * (1 + 1e-12))
    allowed_anywhere = evaluate.allowed(instance, plan.row)
    assert allowed_anywhere.shape == (len(plan.row), instance.regions)
    policy = instance.policy
    tighter = {
        "capacity": lambda: replace(instance, capacity=instance.capacity * (1 - 1e-6)),
        "moves": lambda: _with_policy(instance, max_moves=policy.max_moves - 1),
        "carbon": lambda: _with_policy(instance, carbon_cap_kg=policy.carbon_cap_kg * (1 - 1e-6)),
    }
    duals = Duals(np.zeros(instance.capacity.shape))
    assert certify(instance, plan, duals).feasible
    found = certify(tighter[limit](), plan, duals)
    assert any(words in sentence for sentence in found.violations)


def _with_policy(instance: Instance, **changes: float) -> Instance:
    return replace(instance, policy=replace(instance.policy, **changes))


@pytest.mark.parametrize(
    ("duals", "words"),
    [
        (Duals(np.array([[-1e-9], [0.0]])), "finite and >= 0"),
        (Duals(np.array([[np.nan], [0.0]])), "finite"),
        (Duals(np.array([[np.inf], [0.0]])), "finite"),
        (Duals(np.zeros(2)), "shape"),
        (Duals(np.zeros((2, 1)), moves=0.1), "no limit"),
        (Duals(np.zeros((2, 1)), carbon=0.1), "no limit"),
        (Duals(np.zeros((2, 1)), moves=np.nan), "finite"),
    ],
)
def test_duals_that_prove_nothing_are_refused(duals, words):
    """Such duals are a defect of the caller, not a weak bound."""
    instance, plan, _ = tiny()
    with pytest.raises(ValueError, match=words):
        certify(instance, plan, duals)


def test_flows_that_are_no_integers_are_refused():
    """Half a unit is a defect of the caller."""
    instance, plan, duals = tiny()
    with pytest.raises(ValueError, match="integers"):
        certify(instance, replace(plan, count=plan.count / 2), duals)
    with pytest.raises(ValueError, match="shape"):
        certify(instance, replace(plan, count=plan.count[:1]), duals)


def test_a_budget_of_zero_is_a_limit():
    """`max_moves=0` is not the same as no limit."""
    instance = replace(random_instance(0, features={"moves"}), policy=Policy(max_moves=0.0))
    bound = lower_bound(instance, Duals(np.zeros(instance.capacity.shape), moves=5.0))
    free = lower_bound(instance, Duals(np.zeros(instance.capacity.shape)))
    assert bound.lower_bound_usd > free.lower_bound_usd
