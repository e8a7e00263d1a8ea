"""The simple rules: feasible on every kind of instance, and what their names say."""

import numpy as np
import pytest
from instances import FEATURES, dense_instance, random_instance

from jaxplace import evaluate
from jaxplace.baselines import baseline_assignments, baselines
from jaxplace.baselines.service import SLACK, TURNS
from jaxplace.certify import certify
from jaxplace.instance import Instance
from jaxplace.placement import Duals


def without_duals(instance) -> Duals:
    """Duals of 0: the plan's feasibility does not depend on them."""
    return Duals(np.zeros(instance.capacity.shape))


@pytest.mark.parametrize("tightness", [0.4, 0.95, 2.0])
@pytest.mark.parametrize("seed", range(6))
def test_every_plan_is_feasible(seed, tightness):
    """Capacities, masks and both budgets are kept, however crowded the fleet is."""
    instance = random_instance(seed, n=80, tightness=tightness)
    for plan in baseline_assignments(instance).values():
        assert certify(instance, plan, without_duals(instance)).violations == ()


@pytest.mark.parametrize("without", sorted(FEATURES))
def test_every_feature_can_be_off(without):
    """Plans are feasible without any one of the features, too."""
    instance = random_instance(7, n=60, features=FEATURES - {without, "unservable"})
    for plan in baseline_assignments(instance).values():
        assert certify(instance, plan, without_duals(instance)).feasible


@pytest.mark.parametrize("pair_use", [True, False])
@pytest.mark.parametrize("resources", [1, 2])
def test_dense_instances_have_no_distances(resources, pair_use):
    """A matrix has a cheapest region, but neither a nearest nor a current one."""
    instance = dense_instance(1, resources=resources, pair_use=pair_use)
    plans = baseline_assignments(instance)
    assert set(plans) == {"greedy"}
    assert certify(instance, plans["greedy"], without_duals(instance)).feasible


def test_with_room_everywhere_each_rule_has_its_way():
    """Without scarcity: the nearest, the cheapest and the current region, where allowed."""
    features = FEATURES - {"max_moves", "carbon_cap", "zero_capacity"}
    instance = random_instance(2, features=features, tightness=1e-3)
    rows = np.arange(instance.rows)
    ok = evaluate.allowed(instance, rows)
    served = ok.any(axis=1)
    usd = np.where(ok, evaluate.cost(instance, rows), np.inf)
    rtt = np.where(ok, instance.terms.rtt_ms[instance.terms.origin], np.inf)
    stays = (instance.current >= 0) & ok[rows, np.maximum(instance.current, 0)]
    wanted = {
        "greedy": usd.argmin(axis=1),
        "nearest": rtt.argmin(axis=1),
        "stay": np.where(stays, instance.current, usd.argmin(axis=1)),
    }
    plans = baseline_assignments(instance)
    for name, region in wanted.items():
        np.testing.assert_array_equal(plans[name].region, np.where(served, region, -1))
        np.testing.assert_array_equal(plans[name].count, instance.count)


def test_greedy_leaves_out_what_costs_more_than_leaving_it_out():
    """A penalty of 0 with positive costs places nothing."""
    instance = random_instance(0, features={"egress", "counts"})
    instance.unplaced[:] = 0.0
    assert (baseline_assignments(instance)["greedy"].region == -1).all()


def test_a_region_is_filled_to_the_last_unit():
    """Ten rows of 0.1 fill a capacity of 1, in spite of 0.1 not being a tenth in binary."""
    instance = random_instance(0, n=10, m=1, features=set())
    instance.use[:], instance.capacity[:] = 0.1, 1.0
    plan = baseline_assignments(instance)["nearest"]
    assert (plan.region == 0).all()
    instance.count[:] = 3  # first come, first served: three rows whole, one unit of the fourth
    plan = baseline_assignments(instance)["nearest"]
    np.testing.assert_array_equal(plan.count[plan.region == 0], [3, 3, 3, 1])


def test_units_of_no_use_all_fit():
    """A unit that takes nothing does not divide by zero."""
    instance = random_instance(0, n=10, m=2, features={"counts"})
    instance.use[:] = 0.0
    assert (baseline_assignments(instance)["greedy"].region >= 0).all()


def test_figures_are_those_of_the_certificate():
    """Objective, energy, carbon, moves and what is unplaced, as certified."""
    instance = random_instance(4)
    plans = baseline_assignments(instance)
    for name, figures in baselines(instance, plans).items():
        proven = certify(instance, plans[name], without_duals(instance))
        assert figures["objective_usd"] == pytest.approx(proven.objective_usd)
        assert figures["kwh"] == pytest.approx(proven.kwh)
        assert figures["carbon_kg"] == pytest.approx(proven.carbon_kg)
        assert (figures["unplaced"], figures["moves"]) == (proven.unplaced, proven.moves)


def test_the_same_plans_again():
    """Two calls give the same flows."""
    instance = random_instance(9, n=200)
    once, again = baseline_assignments(instance), baseline_assignments(instance)
    assert list(once) == list(again)
    for name in once:
        for a, b in zip(vars(once[name]).values(), vars(again[name]).values(), strict=True):
            np.testing.assert_array_equal(a, b)


def in_turns(instance: Instance, rule: str) -> dict[tuple[int, int], int]:
    """A rule as its definition reads: units by (row, region), a row and a region at a time."""
    rows, policy = np.arange(instance.rows), instance.policy
    ok, part = evaluate.allowed(instance, rows), evaluate.parts(instance, rows)
    use = [evaluate.use(instance, r, rows) for r in range(len(instance.resources))]
    takes = np.stack([*use, part.move, part.kg], axis=-1)  # [n, m, R + 2]
    limits = [np.inf if b is None else b for b in (policy.max_moves, policy.carbon_cap_kg)]
    limits[1] *= 1 + SLACK
    room = np.concatenate(
        [instance.capacity * (1 + SLACK), np.full((instance.regions, 2), np.nan)], axis=1
    )
    room[0, -2:] = limits  # the budgets are the fleet's: kept at region 0
    left, flows = instance.count.copy(), {}

    def serve(i: int, j: int) -> None:
        rest = np.append(room[j, :-2], room[0, -2:])
        need = takes[i, j]
        fits = np.floor(rest[need > 0] / need[need > 0]).min(initial=left[i])
        room[j, :-2] = np.maximum(rest - fits * need, 0)[:-2]
        room[0, -2:] = rest[-2:] - np.where(need[-2:] > 0, fits * need[-2:], 0)
        left[i] -= int(fits)
        flows[int(i), int(j)] = flows.get((i, j), 0) + int(fits)

    for i in rows if rule == "stay" else []:
        if instance.current[i] >= 0 and ok[i, instance.current[i]]:
            serve(i, instance.current[i])
    key = np.where(ok, evaluate.cost(instance, rows), np.inf)
    key[key >= instance.unplaced[:, None]] = np.inf
    if rule == "nearest":
        key = np.where(ok, instance.terms.rtt_ms[instance.terms.origin], np.inf)
    for i in rows:
        for j in np.argsort(key[i], kind="stable"):
            if left[i] and np.isfinite(key[i, j]):
                serve(i, j)
    flows |= {(int(i), -1): int(left[i]) for i in np.flatnonzero(left)}
    return {pair: units for pair, units in sorted(flows.items()) if units}


@pytest.mark.parametrize("tightness", [0.4, 0.95, 2.0])
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("kind", ["structured", "long", "dense"])
def test_rows_take_turns(kind, seed, tightness):
    """The compiled loops do what the rules say, to the unit and to the last tie."""
    if kind == "dense":
        instance = dense_instance(seed, resources=1 + seed % 2, pair_use=seed % 3 > 0)
        instance.capacity[:] /= tightness
    else:
        n = 150 if kind == "structured" else 2 * TURNS + 9  # regions leave the menus meanwhile
        instance = random_instance(seed, n=n, m=8, tightness=tightness)
    for rule, plan in baseline_assignments(instance).items():
        flows = zip(plan.row.tolist(), plan.region.tolist(), plan.count.tolist(), strict=True)
        assert {(i, j): units for i, j, units in flows} == in_turns(instance, rule)


def test_ties_go_to_the_first_region():
    """Regions that are all alike are filled in their order, whatever their zones are."""
    instance = random_instance(1, n=30, m=6, features=set())
    terms = instance.terms
    for values in (terms.price_usd_per_mwh, terms.pue, terms.rtt_ms):
        values[:] = values.flat[0]
    instance.use[:], instance.capacity[:] = 1.0, 7.0
    for plan in baseline_assignments(instance).values():
        np.testing.assert_array_equal(plan.region, np.arange(30) // 7)


def test_read_only_tables_are_served_alike():
    """Columns that come from files cannot be written; the plans are the same, and so are they."""
    instance = random_instance(2, n=60)
    wanted = baseline_assignments(instance)
    for values in (instance.capacity, instance.use, *vars(instance.terms).values()):
        if values is not None:
            values.flags.writeable = False
    before = instance.capacity.copy()
    for name, plan in baseline_assignments(instance).items():
        np.testing.assert_array_equal(plan.region, wanted[name].region)
    np.testing.assert_array_equal(instance.capacity, before)
