"""Overload is carried off along the cheapest paths between regions."""

import numpy as np
import pytest
from cores import KINDS, rounded_at_zero

from jaxplace.instance import Instance
from jaxplace.repair import paths
from jaxplace.repair.paths import carry_off


pytestmark = pytest.mark.usefixtures("x64")


def crowded(instance, seed=0):
    """A core with all units at their rows' first open options, and prices of 0."""
    core = rounded_at_zero(instance, seed=seed).core
    first, units = np.isfinite(core.cost).argmax(1), core.units.sum(1)
    core.units[:] = 0
    np.put_along_axis(core.units, first[:, None], units[:, None], 1)
    return core, np.zeros((len(core.room), core.room.shape[1]))


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("kind", KINDS)
def test_no_region_is_left_overloaded_and_no_unit_is_lost(kind, seed):
    """The unplaced option has room for whatever finds no other."""
    core, prices = crowded(KINDS[kind](seed), seed)
    before = core.units.sum(1)
    assert (core.free() < -core.hair()).any()
    carry_off(core, prices)
    assert (core.units >= 0).all()
    assert (core.units.sum(1) == before).all()
    assert (core.units[~np.isfinite(core.cost)] == 0).all()
    assert (core.free() >= -core.hair()).all()


def test_it_goes_on_after_a_look_at_the_clock(monkeypatch):
    monkeypatch.setattr(paths, "PATHS", 1)
    core, prices = crowded(KINDS[next(iter(KINDS))](0))
    assert (core.free() < -core.hair()).any(1).sum() > 1
    carry_off(core, prices)
    assert (core.free() >= -core.hair()).all()


def test_after_the_deadline_nothing_is_moved():
    core, prices = crowded(KINDS[next(iter(KINDS))](0))
    before = core.units.copy()
    carry_off(core, prices, deadline=-np.inf)
    assert (core.units == before).all()


def three_in_a_row(unplaced):
    """Regions 0 and 1 are full with a unit too many in 0; only who is in 1 may go on to 2."""
    cost = np.array([[1.0, 1.5, 99.0], [1.0, 1.6, 99.0], [99.0, 1.0, 3.0]])
    instance = Instance.from_arrays(
        cost=cost,
        use=np.ones(3),
        capacity=[1.0, 1.0, 1.0],
        allowed=cost < 50.0,
        unplaced=unplaced,
    )
    core = rounded_at_zero(instance).core
    here = core.region == np.array([0, 0, 1])[:, None]
    core.units[:] = here & np.isfinite(core.cost)
    return core


def test_a_path_leads_through_a_full_region():
    """The unit that minds least goes to 1, and who was there to 2."""
    core = three_in_a_row(unplaced=10.0)
    carry_off(core, np.zeros((4, 1)))
    assert core.objective() == pytest.approx(1.5 + 1.0 + 3.0)


def test_a_path_that_costs_more_than_leaving_out_is_not_taken():
    """From 0 to 1 and on to 2 costs 2.5 more; to leave a unit of 0 out, 1."""
    core = three_in_a_row(unplaced=2.0)
    carry_off(core, np.zeros((4, 1)))
    assert core.units[:, -1].sum() == 1
    assert core.objective() == pytest.approx(1.0 + 1.0 + 2.0)


def test_a_plan_without_overload_stays():
    """There is nothing to carry off."""
    instance = Instance.from_arrays(cost=np.ones((4, 2)), use=np.ones(4), capacity=[4.0, 4.0])
    core = rounded_at_zero(instance).core
    units = core.units.copy()
    carry_off(core, np.zeros((3, 1)))
    assert (core.units == units).all()
