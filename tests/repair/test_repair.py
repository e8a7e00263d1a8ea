"""From any plan to a feasible one, then to a cheaper one; never worse."""

import time
from dataclasses import replace

import numpy as np
import pytest
from cores import KINDS, objective_if_sound, rounded_at_zero
from instances import random_instance

from jaxplace.instance import Instance
from jaxplace.repair import repair
from jaxplace.repair.auction import clear_overloads
from jaxplace.repair.improve import exchange, shift
from jaxplace.rounding import Rounded


pytestmark = pytest.mark.usefixtures("x64")


WITHOUT_BUDGETS = sorted(set(KINDS) - {"every feature", "max_moves", "carbon_cap"})


def random_units(rounded: Rounded, seed: int) -> None:
    """Units anywhere they are allowed, whatever fits."""
    core, rng = rounded.core, np.random.default_rng(seed)
    chance = np.where(np.isfinite(core.cost), rng.exponential(1.0, core.cost.shape), 0.0)
    chance[:, -1] *= rng.random()
    core.units[:] = rng.multinomial(core.units.sum(1), chance / chance.sum(1, keepdims=True))


def crowded_units(rounded: Rounded, _: int) -> None:
    """Every row at its first option."""
    core = rounded.core
    core.units[:, 0], core.units[:, 1:] = core.units.sum(1), 0
    nowhere = ~np.isfinite(core.cost[:, 0])
    core.units[nowhere, -1], core.units[nowhere, 0] = core.units[nowhere, 0], 0


def no_units(rounded: Rounded, _: int) -> None:
    """Everything unplaced, which is feasible."""
    core = rounded.core
    core.units[:, -1], core.units[:, :-1] = core.units.sum(1), 0


STARTS = {"random": random_units, "crowded": crowded_units, "unplaced": no_units}


def repaired(rounded: Rounded, enough: float = 0.0) -> None:
    """A repair that takes its time."""
    repair(
        rounded.core,
        rounded.prices,
        rise=1e-3 * np.abs(rounded.core.cost[:, -1]).mean(),
        deadline=time.perf_counter() + 30.0,
        enough=enough,
        worth=0.0,
    )


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("start", STARTS)
@pytest.mark.parametrize("kind", KINDS)
def test_any_start_ends_feasible(kind, start, seed):
    """Counts kept, only allowed regions, capacities and budgets held: the certificate says so."""
    instance = KINDS[kind](seed)
    rounded = rounded_at_zero(instance, seed=seed)
    STARTS[start](rounded, seed)
    repaired(rounded)
    objective_if_sound(instance, rounded)


@pytest.mark.parametrize("kind", KINDS)
def test_time_over_still_ends_feasible(kind):
    """Feasibility comes first, whatever the deadline."""
    instance = KINDS[kind](5)
    rounded = rounded_at_zero(instance)
    random_units(rounded, 5)
    repair(rounded.core, rounded.prices, rise=1e-6, deadline=-1.0, enough=np.inf, worth=np.inf)
    objective_if_sound(instance, rounded)


@pytest.mark.parametrize("kind", KINDS)
def test_a_feasible_plan_never_gets_dearer(kind):
    """Every round of shifts or exchanges keeps all limits and does not raise the objective."""
    instance = KINDS[kind](4)
    rounded = rounded_at_zero(instance)
    no_units(rounded, 0)
    core, cost = rounded.core, objective_if_sound(instance, rounded)
    prices = np.random.default_rng(0).exponential(0.1, rounded.prices.shape)
    prices[-1] = 0.0
    for _ in range(8):
        for improve in (
            lambda: shift(core, np.ones(len(core.room), bool)),
            lambda: exchange(core, prices),
        ):
            improve()
            before, cost = cost, objective_if_sound(instance, rounded)
            assert cost <= before + 1e-9 * abs(before)


@pytest.mark.parametrize("kind", KINDS)
def test_a_second_repair_does_not_harm(kind):
    """Repair of what is repaired already is never worse."""
    instance = KINDS[kind](6)
    rounded = rounded_at_zero(instance)
    repaired(rounded)
    first = objective_if_sound(instance, rounded)
    repaired(rounded)
    assert objective_if_sound(instance, rounded) <= first + 1e-9 * abs(first)


def test_other_prices_do_not_harm_either():
    """They ask units into idle room; where that does not pay after all, nothing is changed."""
    for seed in range(8):
        instance = KINDS["dense, two resources"](seed)
        rounded = rounded_at_zero(instance, seed=seed)
        repaired(rounded)
        before = objective_if_sound(instance, rounded)
        prices = rounded.prices[:-1]
        prices[:] = np.random.default_rng(seed).exponential(3.0, prices.shape)
        repaired(rounded)
        assert objective_if_sound(instance, rounded) <= before + 1e-9 * abs(before)


@pytest.mark.parametrize("kind", WITHOUT_BUDGETS)
def test_no_unit_is_left_where_a_cheaper_option_has_room(kind):
    """Shifts go on until none pays."""
    rounded = rounded_at_zero(KINDS[kind](7))
    repaired(rounded)
    core = rounded.core
    free = core.free()
    i, k = np.nonzero(core.units)
    fits = (core.use[i] <= free[core.region[i]]).all(2)
    gain = np.where(fits, core.cost[i, k][:, None] - core.cost[i], 0.0)
    assert gain.max() <= 1e-9 * np.abs(core.cost[i, k]).max()


def test_two_full_regions_swap():
    """Units that each prefer the other's full region change places."""
    instance = Instance.from_arrays(
        cost=[[1.0, 5.0], [5.0, 1.0]], use=[1.0, 1.0], capacity=[1.0, 1.0], unplaced=100.0
    )
    rounded = rounded_at_zero(instance)
    core = rounded.core
    core.units[:] = core.region == 1 - core.row[:, None]
    assert rounded.objective() == 10.0
    repaired(rounded)
    assert objective_if_sound(instance, rounded) == 2.0


def test_a_round_swaps_all_units_of_a_row():
    """Several units of one row, and of the same pair of regions, change places at once."""
    instance = Instance.from_arrays(
        cost=[[1.0, 5.0], [5.0, 1.0]], use=np.ones(2), capacity=[3.0, 3.0], unplaced=100.0,
        count=[3, 3],
    )  # fmt: skip
    rounded = rounded_at_zero(instance)
    core = rounded.core
    core.units[:] = 3 * (core.region == 1 - core.row[:, None])
    assert exchange(core, rounded.prices) == 3
    assert objective_if_sound(instance, rounded) == 6.0


def test_an_overload_does_not_empty_what_else_is_dear():
    """Memory is short, GPUs are dear: who uses few of those leaves, not who would leave many idle.

    The one of many GPUs pays for them here, so it minds leaving less; but nobody else would come.
    """
    instance = Instance.from_arrays(
        cost=[[0.0, 9.5], [0.0, 2.0]], use=[[9.0, 1.0], [1.0, 1.0]],
        capacity=[[10.0, 1.0], [10.0, 2.0]], unplaced=100.0,
    )  # fmt: skip
    rounded = rounded_at_zero(instance)
    core = rounded.core
    core.units[:] = core.region == 0
    clear_overloads(core, np.array([[1.0, 0.0], [0.0, 0.0], [0.0, 0.0]]), rise=1e-6)
    assert objective_if_sound(instance, rounded) == 2.0


def test_a_plan_that_is_good_enough_is_not_exchanged(monkeypatch):
    """Feasible is what it must be in any case; exchanges take long."""
    instance = KINDS["no budget"](0)
    rounded = rounded_at_zero(instance)
    monkeypatch.setattr("jaxplace.repair.exchange", None)
    repair(
        rounded.core, rounded.prices, rise=1e-3, deadline=np.inf, enough=0.0, worth=0.0,
        target=np.inf,
    )  # fmt: skip
    objective_if_sound(instance, rounded)


def test_a_chain_through_full_regions():
    """Room two moves away is found: one overloaded region, and a free one next to its neighbour."""
    far = 1e3
    cost = [[1.0, 1.0, far], [1.0, 1.0, far], [far, 1.0, 1.5]]
    allowed = np.array(cost) < far
    instance = Instance.from_arrays(
        cost=cost, use=np.ones(3), capacity=np.ones(3), allowed=allowed, unplaced=100.0
    )
    rounded = rounded_at_zero(instance)
    core = rounded.core
    core.units[:] = core.region == np.array([0, 0, 1])[:, None]
    repaired(rounded)
    assert objective_if_sound(instance, rounded) == 3.5


@pytest.mark.parametrize("budget", ["max_moves", "carbon_cap_kg"])
def test_a_budget_of_zero_is_kept(budget):
    """No move at all, no carbon at all: what is left runs where it is, or not at all."""
    instance = random_instance(0, features={"moves", "counts"})
    instance = replace(instance, policy=replace(instance.policy, **{budget: 0.0}))
    rounded = rounded_at_zero(instance)
    random_units(rounded, 0)
    repaired(rounded)
    objective_if_sound(instance, rounded)
