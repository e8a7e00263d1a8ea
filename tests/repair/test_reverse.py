"""Idle room that has a price is filled, and nothing that was kept is broken."""

import numpy as np
import pytest
from cores import KINDS, objective_if_sound, rounded_at_zero

from jaxplace.instance import Instance
from jaxplace.repair.reverse import fill


pytestmark = pytest.mark.usefixtures("x64")


def idle_worth(core, prices):
    """What all idle room is worth at the prices [USD]."""
    free = core.free()
    return float((np.where(np.isfinite(free), np.maximum(free, 0.0), 0.0) * prices).sum())


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("kind", KINDS)
def test_a_feasible_plan_stays_feasible(kind, seed):
    """Whatever the prices: the certificate checks every rule."""
    instance = KINDS[kind](seed)
    rounded = rounded_at_zero(instance, seed=seed)
    core = rounded.core
    core.units[:, -1], core.units[:, :-1] = core.units.sum(1), 0
    prices = np.random.default_rng(seed).exponential(1.0, rounded.prices.shape)
    prices[-1] = 0.0
    before = idle_worth(core, prices)
    fill(core, prices, worth=0.0)
    objective_if_sound(instance, rounded)
    assert idle_worth(core, prices) < before


def test_room_two_moves_away_is_filled():
    """Nobody who is left out may use the idle region: one who may leaves its place to them."""
    cost, far = np.array([[1.0, 1.5], [1.0, 99.0], [1.0, 99.0]]), 50.0
    instance = Instance.from_arrays(
        cost=cost, use=np.ones(3), capacity=[2.0, 1.0], allowed=cost < far, unplaced=10.0
    )
    rounded = rounded_at_zero(instance)
    core = rounded.core
    here = core.region == np.array([0, 0, 2])[:, None]
    core.units[:] = here & np.isfinite(core.cost)
    assert rounded.objective() == 12.0
    fill(core, np.array([[9.0], [8.5], [0.0]]), worth=0.0)
    assert objective_if_sound(instance, rounded) == 3.5


def test_room_without_a_price_asks_for_nobody():
    """Units come to it by their own gain, which is for shifts to see."""
    instance = Instance.from_arrays(cost=np.ones((4, 2)), use=np.ones(4), capacity=[4.0, 4.0])
    core = rounded_at_zero(instance).core
    units = core.units.copy()
    fill(core, np.zeros((3, 1)), worth=0.0)
    assert (core.units == units).all()
