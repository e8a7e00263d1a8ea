"""Bundles of units: what they are worth, that none is lost, and what they do for a whole solve."""

from itertools import pairwise

import numpy as np
import pytest
from cores import KINDS, rounded_at_zero

from jaxplace import Policy, Settings, load_scenario, solve
from jaxplace.generate import GenerateSettings, generate
from jaxplace.repair import settle
from jaxplace.repair.bundles import BULK, BULK_ROWS, FREE, bulky, falling, loose, worths


pytestmark = pytest.mark.usefixtures("x64")


@pytest.fixture
def core_and_prices():
    """A core of few rows with thousands of units each, as rounding leaves it, and its duals."""
    rounded = rounded_at_zero(KINDS["thousands"](3), cleared=False)
    return rounded.core, rounded.prices + (rounded.core.room < np.inf), rounded.fees


def test_bundles_shrink_to_single_units(core_and_prices):
    """And never hold more than a row has at an option."""
    core, prices, _ = core_and_prices
    sizes = list(falling(core, worths(core, prices)))
    assert (sizes[-1] == 1).all()
    assert (sizes[0] > 1).any()
    for size, smaller in pairwise(sizes):
        assert (size >= smaller).all()
        assert (size <= np.maximum(core.units.max(1), 1)).all()


def test_a_bundle_is_its_units(core_and_prices):
    """Cost, use and tolls add up; what moves and what stays is all there is."""
    core, prices, _ = core_and_prices
    size = next(falling(core, worths(core, prices)))
    part, stay = loose(core, size)
    assert (part.units <= FREE).all()
    np.testing.assert_array_equal(stay + part.units * size[:, None], core.units)
    used = core.units.copy() - stay
    np.testing.assert_allclose(part.load(part.units), core.load(used))
    np.testing.assert_allclose(part.free(), core.free(), atol=1e-9 * np.abs(core.load(used)).max())
    moved = np.where(used > 0, used * np.where(np.isfinite(core.cost), core.cost, 0.0), 0.0).sum()
    assert part.objective() == pytest.approx(moved)


def test_settling_keeps_every_unit(core_and_prices):
    """Few rows of thousands of units settle in bundles; no row gains or loses one."""
    core, prices, fees = core_and_prices
    assert bulky(len(core.row), int(core.units.sum()))
    before, over = core.units.sum(1), np.maximum(-core.free(), 0.0).sum()
    settle(core, prices, fees, seed=0, deadline=np.inf)
    np.testing.assert_array_equal(core.units.sum(1), before)
    assert (core.units >= 0).all()
    assert core.feasible() or np.maximum(-core.free(), 0.0).sum() < over


def test_many_rows_or_few_units_are_not_bulky():
    """There single units are what moves."""
    assert bulky(BULK_ROWS, BULK * BULK_ROWS + 1)
    assert not bulky(BULK_ROWS + 1, 1 << 40)
    assert not bulky(100, 100)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_large_customers_of_two_resources_are_placed_well(tmp_path, seed):
    """No single unit is large, so a plan near the bound exists; exchanges alone end far from it."""
    knobs = {"requests": 56, "regions": 56, "origins": 40, "tightness": 0.98, "tail": "light"}
    settings = GenerateSettings(**knobs, counts="thousands", resources=2, hours=1, seed=seed)
    scenario = load_scenario(generate(settings, tmp_path / "scenario"))
    instance = scenario.at(scenario.hours[0], Policy())
    placement = solve(instance, Settings(time_limit_s=30))
    assert placement.certificate.gap < 1e-2
