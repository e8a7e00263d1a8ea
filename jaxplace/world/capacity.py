"""Capacities that demand can be placed in: large where demand may go, and by the region's tier."""

import numpy as np
from numpy.typing import NDArray

from jaxplace.world.reach import SLOTS, Reach, Residency, serving_times
from jaxplace.world.regions import Regions
from jaxplace.world.workloads import BUDGET_MS, MODELS


CLIENT_ALLOWANCE_MS = 25.0  # of a budget, for the way from the client to its city


def spread_demand(
    demand: NDArray[np.float64], regions: Regions, reach: Reach, residency: Residency
) -> NDArray[np.float64]:
    """Load at each region if every class of requests were shared out by the regions' weights.

    Each class (origin, model, residency, latency budget) is spread over the regions that may serve
    it, in proportion to their weights.  Capacities above this load therefore have a fractional
    placement of (nearly) everything, and no class starves because capacity lies where it may not
    go; they are far from the cheapest placement, which wants more of the cheap regions than there
    is.

    Args:
        demand: [o, k, SLOTS, budget, r] what the requests use on the newest hardware.
        regions: weights, hosting, use factors.
        reach: distances, and the nearest regions, which are always taken as within the budget.
        residency: who may serve what.

    Returns:
        [m, r] load, hardware's use factor included.
    """
    loads = np.zeros((len(regions.weight), demand.shape[-1]))
    weight = regions.weight.astype(np.float32)
    for rows, slot, k, ms in serving_times(reach, regions, residency):
        here = demand[rows, k, slot]
        ms = np.where(ms <= reach.need_ms[rows, k, slot, None], np.float32(0.0), ms)
        for b, budget in enumerate(BUDGET_MS):
            if not here[:, b].any():
                continue
            limit = min(budget - CLIENT_ALLOWANCE_MS, np.finfo(np.float32).max)
            within = (ms <= np.float32(limit)).astype(np.float32)
            reached = np.maximum((within @ weight).astype(np.float64), 1e-30)
            share = (here[:, b] / reached[:, None]).T
            loads += (share @ within).T * (regions.weight * regions.use_factor)[:, None]
    return loads


def empty_demand(origins: int, resources: int) -> NDArray[np.float64]:
    """Zeros [o * k * SLOTS * budget, r] to count into, by `class_index`."""
    return np.zeros((origins * len(MODELS) * SLOTS * len(BUDGET_MS), resources))


def by_class(flat: NDArray[np.float64], origins: int) -> NDArray[np.float64]:
    """`empty_demand`'s rows with their axes apart."""
    return flat.reshape(origins, len(MODELS), SLOTS, len(BUDGET_MS), -1)
