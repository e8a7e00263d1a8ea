"""Rows that stand for all rows."""

import numpy as np


def sample(mass: np.ndarray, size: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Rows drawn by their mass, spread evenly, the heaviest for certain.

    Half of the chance goes by mass, half by its root: by mass alone, small regions, which live on
    small rows, would hardly be seen.

    Returns:
        Their indices in rising order, and what each one's weight is multiplied by so that the
        sample's mass is the whole's.
    """
    if not mass.any():
        return np.zeros(0, np.int64), np.zeros(0)
    chance = np.sqrt(mass)
    chance *= size / 2 / chance.sum()
    chance += mass * (size / 2 / mass.sum())
    for _ in range(8):  # mass that certain rows cannot use goes to the others
        certain = chance >= 1
        count = int(certain.sum())
        rest = chance.sum(where=~certain)
        if not rest or count >= size or np.isclose(rest, size - count, rtol=1e-12, atol=0.0):
            break
        chance *= (size - count) / rest
        chance[certain] = 1.0
    np.clip(chance, 1e-12, 1.0, out=chance)
    # one draw per unit of cumulative chance: rows are sorted by class, so classes are stratified
    ticks = np.cumsum(chance)
    ticks += rng.random()
    np.floor(ticks, out=ticks)
    index = np.nonzero(np.diff(ticks, prepend=0.0) > 0)[0]
    boost = 1.0 / chance[index]
    drawn = boost > 1  # the others stand for themselves
    part = (mass[index] * boost)[drawn].sum()
    if part > 0:
        boost[drawn] *= mass.sum(where=chance < 1) / part
    return index, boost
