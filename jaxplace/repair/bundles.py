"""Units of few large rows moved by the hundred: bundles, ever smaller ones.

Where rows have thousands of units each, no single one is worth a chain, and what a plan lacks is
hundreds of one row here for hundreds of another there.  As in capacity scaling of network flows
(Edmonds and Karp 1972), units move in large bundles first, then in smaller ones, at last alone.
"""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from jaxplace.repair.core import TINY, Core


BULK = 100  # units of a row, in the mean, from which they move in bundles,
BULK_ROWS = 2000  # as long as rows are so few
COARSEST = 500  # bundles that all units would make at first, if a plan is feasible
FINER = 4  # how much smaller bundles are next
FREE = 4  # units of a row at an option that may move; the others stay


def bulky(rows: int, units: int) -> bool:
    """Whether so many rows have so many units that they are to move in bundles."""
    return rows <= BULK_ROWS and units > BULK * rows


def worths(core: Core, prices: np.ndarray) -> np.ndarray:
    """[R] What each resource is worth where the plan takes it, in the mean [USD per use]."""
    load = core.load(core.units)
    return np.asarray((load * prices).sum(0) / np.maximum(load.sum(0), 1e-300))


def falling(core: Core, prices: np.ndarray) -> Iterator[np.ndarray]:
    """[c] Units in a bundle of each row, worth about the same in all, down to one unit."""
    each = core.use[:, :-1].mean(1) @ worths(core, prices)
    each = np.maximum(each, max(TINY * each.max(initial=0.0), 1e-300))
    grain = float(core.units.sum(1) @ each) / COARSEST
    size, most = np.zeros(len(each)), np.maximum(core.units.max(1), 1)
    while (size != 1).any():
        size = np.clip(np.floor(grain / each), 1, most)
        yield size.astype(np.int64)
        grain /= FINER


def loose(core: Core, size: np.ndarray) -> tuple[Core, np.ndarray]:
    """A core of bundles, a few at each option, over what the other units leave.

    Args:
        core: not changed.
        size: [c] units in a bundle of each row.

    Returns:
        The core, whose units are bundles, and [c, K] the units that stay.
    """
    units = np.minimum(core.units // size[:, None], FREE)
    stay = core.units - units * size[:, None]
    others = replace(core, units=stay)
    once, twice = size[:, None], size[:, None, None]
    return Core(
        core.row, core.region, core.cost * once, core.use * twice, core.toll * twice,
        core.guide * once, units, others.free(), others.spare()), stay  # fmt: skip
