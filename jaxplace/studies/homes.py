"""Whose home is where, who could run elsewhere, and how far from home a plan runs things."""

from typing import NamedTuple

import numpy as np

from jaxplace import evaluate
from jaxplace.instance import NOWHERE, Instance, Terms
from jaxplace.native import spread
from jaxplace.placement import Assignment
from jaxplace.studies.variants import terms_of, without_budgets


NEAR_ORIGINS = 8  # by way of which two regions' distance in time is measured


class Distances(NamedTuple):
    """Shares of a plan's IT energy by distance from home; they sum to 1 over what is placed.

    Attributes:
        local: at home.
        regional: elsewhere in home's country, or near it in time.
        beyond: further; "energy" in CONTRACT's words, for cheap energy is what draws it there.
    """

    local: np.ndarray
    regional: np.ndarray
    beyond: np.ndarray


def homes(instance: Instance) -> np.ndarray:
    """[n] int32 region that each row calls home: the current one, else the nearest.

    The nearest is the region of least round trip from the row's origin among those that would
    take it if time were no matter (hosting, residency, size; ties: the first in the table).  So
    it does not change along a frontier.  -1 where there is none.
    """
    terms = terms_of(instance, "frontier")
    timeless = without_budgets(instance)
    home = instance.current.astype(np.int32)
    rows = np.flatnonzero(home < 0)
    step = max(1, evaluate.BLOCK_PAIRS // max(1, instance.regions))
    for start in range(0, len(rows), step):
        some = rows[start : start + step]
        rtt = np.where(evaluate.allowed(timeless, some), terms.rtt_ms[terms.origin[some]], np.inf)
        nearest = rtt.argmin(1)
        there = np.isfinite(rtt[np.arange(len(some)), nearest])
        home[some] = np.where(there, nearest, NOWHERE)
    return home


def relocatable(instance: Instance, home: np.ndarray) -> np.ndarray:
    """[n] bool, whether a region other than home is allowed."""
    found = np.zeros(instance.rows, bool)
    blocks = list(evaluate.blocks(instance))

    def part(start: int, stop: int) -> None:
        for block in blocks[start:stop]:
            ok, at = evaluate.allowed(instance, block), home[block]
            count = ok.sum(1) - (ok[np.arange(len(at)), at] & (at >= 0))
            found[block] = count > 0

    spread(part, len(blocks), chunks=len(blocks))
    return found


def it_kwh(instance: Instance, plan: Assignment) -> np.ndarray:
    """[f] IT energy of a plan's flows [kWh]."""
    terms = terms_of(instance, "frontier")
    return plan.count * terms.energy_kwh[plan.row]


def relocated_kwh(instance: Instance, plan: Assignment, home: np.ndarray) -> float:
    """IT energy that runs somewhere else than at home; units without a home have none."""
    at = home[plan.row]
    away = (plan.region >= 0) & (at >= 0) & (plan.region != at)
    return float(it_kwh(instance, plan)[away].sum())


def by_distance(
    instance: Instance, plan: Assignment, home: np.ndarray, regional_ms: float
) -> Distances:
    """[f] IT energy of each flow, in the one class that it falls into; 0 where unplaced."""
    terms, places = terms_of(instance, "frontier"), instance.places
    assert places is not None
    at, region = home[plan.row], plan.region
    energy = np.where((region >= 0) & (at >= 0), it_kwh(instance, plan), 0.0)
    local = at == region
    country = places.region_country
    near = (country[at] == country[region]).astype(bool)
    far = np.flatnonzero(~local & ~near & (energy > 0))
    if len(far):
        near[far] = between_ms(terms, at[far], region[far]) <= regional_ms
    zero = np.zeros_like(energy)
    return Distances(
        np.where(local, energy, zero),
        np.where(~local & near, energy, zero),
        np.where(~local & ~near, energy, zero),
    )


def between_ms(terms: Terms, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """[p] round trip between regions: by way of that origin near `a` that makes it least.

    The tables know no round trip between regions; this is one that traffic could take.
    """
    pairs, back = np.unique(np.stack([a, b], 1), axis=0, return_inverse=True)
    here, there = pairs.T
    order = np.argsort(terms.rtt_ms, axis=0, kind="stable")[:NEAR_ORIGINS]  # [8, m] origins
    by_way = order[:, here]
    found = (terms.rtt_ms[by_way, here] + terms.rtt_ms[by_way, there]).min(0)
    return found[back.ravel()]
