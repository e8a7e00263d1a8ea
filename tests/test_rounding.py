"""From the relaxed plan to whole units."""

from collections.abc import Callable

import numpy as np
import pytest
from cores import HOT, objective_if_sound, rounded_at_zero
from instances import dense_instance, random_instance

from jaxplace.instance import Instance
from jaxplace.kernels import api as kernels
from jaxplace.problem import Duals, compile_instance
from jaxplace.rounding import decide, laid_out, plan


pytestmark = pytest.mark.usefixtures("x64")

KINDS: dict[str, Callable[[int], Instance]] = {
    "every feature": lambda s: random_instance(s),
    "no feature": lambda s: random_instance(s, features=()),
    "more rows than a core": lambda s: random_instance(s, n=6000),
    "dense": lambda s: dense_instance(s, n=40, m=8),
    "dense, two resources": lambda s: dense_instance(s, n=40, m=8, resources=2),
}


def units(instance: Instance, seed: int) -> np.ndarray:
    """[n, m + 1] whole units of the rounded plan, unplaced last."""
    plan = rounded_at_zero(instance, seed=seed).assignment()
    table = np.zeros((instance.rows, instance.regions + 1), np.int64)
    np.add.at(table, (plan.row, plan.region), plan.count)
    return table


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("kind", KINDS)
def test_counts_are_kept(kind, seed):
    """Every row's units are all there, before any repair, in sorted positive flows."""
    instance = KINDS[kind](seed)
    plan = rounded_at_zero(instance, seed=seed).assignment()
    assert (plan.count > 0).all()
    assert (np.diff(plan.row * (instance.regions + 2) + plan.region) > 0).all()
    found = np.bincount(plan.row, plan.count, instance.rows)
    np.testing.assert_array_equal(found, instance.count)


@pytest.mark.parametrize("kind", KINDS)
def test_the_objective_is_the_plan_s(kind):
    """What the rounded plan says it costs is what its flows cost."""
    from jaxplace import evaluate

    instance = KINDS[kind](2)
    rounded = rounded_at_zero(instance)
    wanted = evaluate.totals(instance, rounded.assignment()).objective_usd
    assert rounded.objective() == pytest.approx(wanted, rel=1e-9)


def test_after_the_deadline_no_duals_settle(monkeypatch):
    """Sizes that are left are rounded at once, and the plan keeps every rule."""
    instance = random_instance(3, n=6000, features={"counts", "latency"})

    def settled(*_):
        raise AssertionError("the time was over")

    monkeypatch.setattr(plan, "_resettle", settled)
    with pytest.raises(AssertionError, match="over"):
        rounded_at_zero(instance)
    objective_if_sound(instance, rounded_at_zero(instance, deadline=-1.0))


@pytest.mark.parametrize("seed", range(3))
def test_sums_stay_near_what_the_relaxed_plan_has(seed):
    """Rows of one size that hesitate alike: no region is off by more than a few units."""
    n, m = 2000, 8
    cost = np.repeat(np.random.default_rng(seed).uniform(1.0, 3.0, (4, m)), n // 4, axis=0)
    instance = Instance.from_arrays(
        cost=cost, use=np.ones(n), capacity=np.full(m, float(n)), unplaced=100.0
    )
    compiled = compile_instance(instance)
    duals = Duals(np.zeros(compiled.problem.limit.shape, np.float32))
    temperature = np.float32(HOT)
    response = kernels.respond(compiled.problem, duals, temperature)
    expected = np.asarray(response.load)[:m, 0] * compiled.problem.scaling.use[0]
    found = units(instance, seed).sum(0)
    assert expected.min() > 50
    independent = np.sqrt(expected * (1 - expected / n))  # the deviation of independent draws
    np.testing.assert_array_less(np.abs(found[:m] - expected), 0.25 * independent + 2)


@pytest.mark.parametrize("count", [1, 7, 1000])
def test_a_row_s_parts_are_its_shares_to_within_a_unit(count):
    """Many units of one row split as the relaxed plan does."""
    m = 4
    instance = Instance.from_arrays(
        cost=np.tile([1.0, 1.0, 1.0, 1.0], (40, 1)),
        use=np.ones(40),
        capacity=np.full(m, 40.0 * count),
        count=np.full(40, count),
        unplaced=1e4,
    )
    found = units(instance, 0)
    assert (np.abs(found[:, :m] - count / m) <= 1).all()


def test_the_seed_moves_the_offset():
    """The same seed gives the same units, another seed other ones, near the same sums."""
    instance = dense_instance(0, n=40, m=8)
    np.testing.assert_array_equal(units(instance, 1), units(instance, 1))
    assert any((units(instance, 1) != units(instance, s)).any() for s in range(2, 6))


def test_rows_near_a_tie_that_no_core_holds_are_drawn(monkeypatch):
    """All rows tie: decided by their best option they would go the same way, and overflow."""
    n, m = 6000, 8
    instance = Instance.from_arrays(
        cost=np.ones((n, m)) + 1e-6 * np.arange(m),
        use=np.ones((n, 1)),
        capacity=np.full((m, 1), 1.1 * n / m),
    )
    monkeypatch.setattr(decide, "MOST_ROWS", 1000)
    monkeypatch.setattr(plan, "FEWEST_ROWS", 500)
    core = rounded_at_zero(instance).core
    assert len(core.row) <= 2500
    taken = instance.capacity - core.room[:-1]
    assert (taken > 0.1 * n / m).all()


def test_decided_rows_that_mind_least_make_room_for_units_left_out():
    """Four large units have one region, full of decided small rows."""
    small, large = 400, 4
    allowed = np.ones((small + large, 3), bool)
    allowed[small:, 1:] = False
    instance = Instance.from_arrays(
        cost=np.ones(allowed.shape),
        use=np.r_[np.ones(small), np.full(large, 20.0)][:, None],
        capacity=np.full((3, 1), 400.0),
        allowed=allowed,
    )
    compiled = compile_instance(instance)
    problem = compiled.problem
    index = np.nonzero(compiled.order >= small)[0]
    options = np.tile([0, 3], (large, 1))
    left_out = laid_out(
        compiled.pairs, compiled.order[index], options, np.zeros(2, bool), np.zeros(0)
    )
    left_out.units[:, -1] = 1
    left_out.room = np.zeros((4, 1))
    margin = np.random.default_rng(0).permutation(problem.size).astype(float)
    found = decide.helpers(compiled, np.zeros(problem.size, np.int32), margin, index, [left_out])
    others = np.setdiff1d(np.arange(problem.size), index)
    lacking = int(decide.HELP * large * 20)
    wanted = others[np.argsort(margin[others])[:lacking]]
    np.testing.assert_array_equal(found, np.sort(wanted))


def test_few_rows_a_region_are_rounded_in_all_stages(monkeypatch):
    """A core is coarse, and its stages wide, if it has many rows for every region too."""
    problem = compile_instance(random_instance(3, n=3000, m=6)).problem
    index = np.arange(problem.size)
    fine = len(plan.by_size(problem, index, 6))
    monkeypatch.setattr(plan, "COARSE_ROWS", 1000)
    assert len(plan.by_size(problem, index, 6)) < fine
    monkeypatch.setattr(plan, "COARSE_PER_REGION", 600)
    assert len(plan.by_size(problem, index, 6)) == fine
