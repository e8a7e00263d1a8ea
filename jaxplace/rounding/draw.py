"""Whole units near amounts wanted."""

import numpy as np


GOLDEN = 0.6180339887498949  # spreads draws evenly whatever their number (Weyl sequence)


def systematic(want: np.ndarray, region: np.ndarray, first: np.ndarray, seed: int) -> np.ndarray:
    """Whole units [c, K] near the amounts wanted; every row's sum stays.

    A row's parts below one unit are laid end to end and hit by a comb with teeth one unit apart
    (Madow 1949).  Rows that hesitate between the same two regions follow each other, and their
    combs are shifted evenly, so that their sums come out within about a unit.

    Args:
        want: [c, K] amounts; rows sum to whole numbers.
        region: [c, K] options.
        first: [c, 2] the two options that a row hesitates between, the likelier first.
        seed: of the one random offset.
    """
    count = np.rint(want.sum(1)).astype(np.int64)
    whole = np.floor(want + 1e-9).astype(np.int64)
    left = count - whole.sum(1)
    ends = np.cumsum(np.maximum(want - whole, 0.0), 1)
    ends *= (left / np.maximum(ends[:, -1], 1e-300))[:, None]
    ends[:, -1] = left
    split = np.take_along_axis(region, first, 1)
    part = np.take_along_axis(want, first[:, :1], 1)[:, 0] / count
    order = np.lexsort((part, split[:, -1], split[:, 0]))
    offset = np.empty(len(count))
    offset[order] = (np.random.default_rng(seed).random() + GOLDEN * np.arange(len(count))) % 1.0
    teeth = np.floor(ends + 1.0 - np.maximum(offset, 1e-12)[:, None]).astype(np.int64)
    return whole + np.diff(teeth, prepend=0, axis=1)
