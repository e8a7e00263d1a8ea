"""Ejection chains: never worse, always feasible, and best where that can be told."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from cores import KINDS, objective_if_sound, rounded_at_zero
from highs import MIP_GAP, mip_optimum
from instances import dense_instance, random_instance

from jaxplace import native
from jaxplace.compare import gap
from jaxplace.instance import Instance
from jaxplace.pipeline import solve
from jaxplace.repair import chains, repair, search, settle
from jaxplace.repair.bundles import FREE
from jaxplace.rounding import Rounded
from jaxplace.settings import Settings


pytestmark = pytest.mark.usefixtures("x64")

LIBRARY = Path(__file__).parents[1] / "compare" / "gap"


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """A search that ends by itself within a second or so."""
    monkeypatch.setattr(chains, "MOST_LOOKS", 1 << 24)


def feasible(instance: Instance, seed: int) -> Rounded:
    """A feasible plan that nobody has improved."""
    rounded = rounded_at_zero(instance, seed=seed, cleared=False)
    repair(rounded.core, rounded.prices, rise=1e-3, deadline=-1.0, enough=np.inf, worth=np.inf)
    return rounded


def searched(rounded: Rounded, *, seed: int = 0, target: float = -np.inf) -> None:
    """As long as it likes."""
    search(rounded.core, rounded.prices, rounded.fees, seed=seed, target=target, deadline=np.inf)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.usefixtures("short")
def test_a_plan_gets_cheaper_and_stays_feasible(kind):
    """Counts, masks, capacities and budgets: the certificate's own check holds before and after."""
    instance = KINDS[kind](8)
    rounded = feasible(instance, 8)
    before = objective_if_sound(instance, rounded)
    searched(rounded)
    assert objective_if_sound(instance, rounded) <= before


@pytest.mark.parametrize("kind", ["every feature", "thousands", "dense, two resources"])
@pytest.mark.usefixtures("short")
def test_the_same_seed_makes_the_same_plan(kind):
    """And another seed one that is sound too."""
    plans = []
    for seed in (0, 0, 1):
        instance = KINDS[kind](9)
        rounded = feasible(instance, 9)
        searched(rounded, seed=seed)
        objective_if_sound(instance, rounded)
        plans.append(rounded.core.units)
    np.testing.assert_array_equal(plans[0], plans[1])


@pytest.mark.usefixtures("short")
def test_the_plan_is_the_same_on_any_number_of_threads(monkeypatch):
    """What is searched side by side here is searched one after the other there."""
    plans = []
    for count in (1, 2):
        monkeypatch.setattr(native, "threads", lambda count=count: count)
        rounded = feasible(uneven(0, n=60, m=8), 0)
        searched(rounded)
        plans.append(rounded.core.units)
    np.testing.assert_array_equal(plans[0], plans[1])


@pytest.mark.usefixtures("short")
def test_a_search_says_what_it_has_found():
    """Run by run, never dearer than before; last of all what the plan costs."""
    rounded, said = feasible(uneven(0, n=60, m=8), 0), []
    search(
        rounded.core,
        rounded.prices,
        rounded.fees,
        seed=0,
        target=-np.inf,
        deadline=np.inf,
        watch=said.append,
    )
    assert len(said) > chains.PATIENCE
    assert np.all(np.diff(said) <= 0)
    assert said[-1] < said[0]
    assert said[-1] == pytest.approx(rounded.core.objective(), rel=1e-12)


@pytest.mark.parametrize(("deadline", "target"), [(-1.0, -np.inf), (np.inf, np.inf)])
def test_nothing_changes_when_there_is_no_time_or_no_need(deadline, target):
    """The clock and the cost that is good enough are looked at first."""
    rounded = feasible(KINDS["dense"](1), 1)
    before = rounded.core.units.copy()
    search(rounded.core, rounded.prices, rounded.fees, seed=0, target=target, deadline=deadline)
    np.testing.assert_array_equal(rounded.core.units, before)


@pytest.mark.parametrize("kind", ["dense", "dense, two resources", "no budget", "max_moves"])
def test_overloads_go(kind):
    """Whatever the rounded plan overloads fits after it, from any seed."""
    for seed in range(3):
        instance = KINDS[kind](seed)
        rounded = rounded_at_zero(instance, seed=seed, cleared=False)
        settle(rounded.core, rounded.prices, rounded.fees, seed=seed, deadline=np.inf)
        objective_if_sound(instance, rounded)


@pytest.mark.usefixtures("short")
def test_every_unit_may_move_where_not_all_are_searched(monkeypatch):
    """Runs of all units come before those of the largest rows, and are never worse either."""
    instance = KINDS["dense, two resources"](8)
    without = feasible(instance, 8)
    before = objective_if_sound(instance, without)
    monkeypatch.setattr(chains, "MOST_UNITS", 2)
    monkeypatch.setattr(chains, "MANY_UNITS", 0)
    searched(without)
    monkeypatch.setattr(chains, "MANY_UNITS", 1000)
    rounded = feasible(instance, 8)
    searched(rounded)
    assert objective_if_sound(instance, rounded) < objective_if_sound(instance, without) <= before


@pytest.mark.usefixtures("short")
def test_runs_from_the_cheapest_plan_bring_more(monkeypatch):
    """Sizes differ by orders, and room is short: never worse for them, and cheaper now and then."""
    without, costs = [], []
    for seed in range(3):
        instance = uneven(seed, n=120, m=12)
        for kicks, found in ((0, without), (20, costs)):
            monkeypatch.setattr(chains, "KICKS", kicks)
            rounded = feasible(instance, seed)
            searched(rounded)
            found.append(objective_if_sound(instance, rounded))
    assert np.less_equal(costs, without).all()
    assert np.less(costs, without).any()


SMALL = {
    "dense": lambda s: dense_instance(s, n=14, m=4),
    "two resources": lambda s: dense_instance(s, n=14, m=4, resources=2),
    "counts": lambda s: random_instance(s, n=10, m=4, features={"counts", "latency"}),
    "max_moves": lambda s: random_instance(s, n=14, m=4, features={"max_moves", "hosting"}),
    "carbon_cap": lambda s: random_instance(s, n=14, m=4, features={"carbon_cap"}),
    "scarce": lambda s: random_instance(s, n=14, m=4, features={"two_resources"}, tightness=1.4),
}


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("kind", SMALL)
def test_the_best_whole_plan_is_found(kind, seed):
    """As branch and cut has it; nearly, where a budget or scarcity leaves units out."""
    instance = SMALL[kind](seed)
    found = solve(instance, Settings(gap_target=0.0)).certificate
    best = mip_optimum(instance)  # up to `MIP_GAP` below it
    most = 0.03 if kind in ("carbon_cap", "scarce") else 1.01 * MIP_GAP
    assert -1e-9 <= found.objective_usd / best - 1 <= most


@pytest.mark.parametrize(("name", "most"), [("gap1-0", 261), ("b10100", 1407), ("c05100", 1933),
                                            ("d05100", 6370)])  # fmt: skip
def test_the_library(name, most):
    """Best known 261, 1407, 1931 and 6353: all but the hard types within the search's own limit."""
    (problem,) = gap.problems(LIBRARY / name)
    found = solve(problem.instance(), Settings(gap_target=1e-4)).certificate
    assert found.unplaced == 0
    assert found.objective_usd <= most


def uneven(seed: int, n: int = 40, m: int = 4) -> Instance:
    """Two resources, little room, and requests of sizes that differ a hundredfold."""
    rng, instance = np.random.default_rng(seed), dense_instance(seed, n=n, m=m, pair_use=False)
    use = rng.lognormal(0.0, 1.5, (n, 1)) * rng.lognormal(0.0, 0.5, (n, 2))
    size = use.mean(1)
    return replace(
        instance,
        resources=("use_0", "use_1"),
        use=use,
        capacity=np.full((m, 2), 1.1 * use.sum(0) / m),
        unplaced=200.0 * size,
        terms=replace(
            instance.terms,
            allowed=np.ones((n, m), bool),
            cost=instance.terms.cost * size[:, None],
        ),
    )


def test_sizes_may_differ_a_hundredfold():
    """No least overload is left for the end, and large requests find their place before small.

    One of the four is hard: not every seed of the search comes near its optimum.
    """
    above = []
    for instance in map(uneven, range(4)):
        found = solve(instance, Settings(gap_target=0.0)).certificate
        above.append(found.objective_usd / mip_optimum(instance) - 1)
    assert min(above) >= -1e-9
    assert sorted(above)[2] <= 1e-3
    assert max(above) <= 0.05


def test_units_beyond_the_free_ones_stay():
    """Of many units of a row at one option a few may move; what stays counts as load."""
    instance = Instance.from_arrays(
        cost=[[1.0, 5.0], [1.0, 2.0]], use=[1.0, 1.0], capacity=[10.0, 30.0],
        count=np.array([10, 20]), unplaced=100.0,
    )  # fmt: skip
    rounded = rounded_at_zero(instance)
    core = rounded.core
    core.units[:] = 0
    core.units[0, np.argmax(core.region[0] == 1)] = 10
    core.units[1, np.argmax(core.region[1] == 0)] = 10
    core.units[1, np.argmax(core.region[1] == 1)] = 10
    before = objective_if_sound(instance, rounded)
    searched(rounded)
    after = objective_if_sound(instance, rounded)
    assert before - 3.0 * FREE == pytest.approx(after)
