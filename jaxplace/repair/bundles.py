"""Units of few large rows moved by the hundred: bundles.

Where rows have thousands of units each, no single one is worth a chain, and what a plan lacks is
hundreds of one row here for hundreds of another there.  As in capacity scaling of network flows
(Edmonds and Karp 1972), units move in large bundles first, then in smaller ones, at last alone;
what overloads is relieved the other way round, by the smallest bundles that do.
"""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from jaxplace.repair.core import TINY, Core


BULK = 100  # units of a row, in the mean, from which they move in bundles,
BULK_ROWS = 2000  # as long as rows are so few
COARSEST = 500  # of the largest bundles, all units would make so many;
FINER = 4  # the next ones are so many times smaller
FREE = 4  # units of a row at an option that may move; the others stay


def bulky(rows: int, units: int) -> bool:
    """Whether so many rows have so many units that they are to move in bundles."""
    return rows <= BULK_ROWS and units > BULK * rows


def worths(core: Core, prices: np.ndarray) -> np.ndarray:
    """[R] What each resource is worth where the plan takes it, in the mean [USD per use]."""
    load = core.load(core.units)
    return np.asarray((load * prices).sum(0) / np.maximum(load.sum(0), 1e-300))


def falling(core: Core, worth: np.ndarray) -> Iterator[np.ndarray]:
    """[c] Units in a bundle of each row, worth about the same in all, down to one unit.

    Args:
        core: whose bundles they are; not changed.
        worth: [R] of the resources [USD per use].
    """
    each = core.use[:, :-1].mean(1) @ worth
    each = np.maximum(each, max(TINY * each.max(initial=0.0), 1e-300))
    grain = float(core.units.sum(1) @ each) / COARSEST
    size, most = np.zeros(len(each)), np.maximum(core.units.max(1), 1)
    while (size != 1).any():
        size = np.clip(np.floor(grain / each), 1, most)
        yield size.astype(np.int64)
        grain /= FINER


def loose(
    core: Core, size: np.ndarray, rows: np.ndarray | slice = slice(None)
) -> tuple[Core, np.ndarray]:
    """A core of bundles of some rows, a few at each option, over what all other units leave.

    Args:
        core: not changed.
        size: [c] units in a bundle of each row.
        rows: those that take part.

    Returns:
        The core, whose units are bundles, and [c, K] the units that stay.
    """
    size, units = size[rows, None], np.zeros_like(core.units)
    units[rows] = np.minimum(core.units[rows] // size, FREE)
    stay = core.units.copy()
    stay[rows] -= units[rows] * size
    others = replace(core, units=stay)
    return Core(
        core.row[rows], core.region[rows], core.cost[rows] * size, core.use[rows] * size[..., None],
        core.toll[rows] * size[..., None], core.guide[rows] * size, units[rows],
        others.free(), others.spare()), stay  # fmt: skip
