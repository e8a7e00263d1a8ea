"""Compiles repair's loops and keeps them on the disk: `python -m jaxplace.repair.rehearsal`.

Compiling holds the interpreter's lock, so a first solve does this in a process beside it, which
is through with what that solve needs last by the time it gets there.
"""

import numpy as np

from jaxplace.repair import repair
from jaxplace.repair.chains import search
from jaxplace.repair.core import Core


ROWS, REGIONS = 12, 4


def rehearse() -> None:
    """Repair a small plan that needs everything, overloads to chains."""
    core, prices = _overloaded(np.random.default_rng(0))
    repair(core, prices, rise=1e-3, deadline=np.inf, enough=0.0, worth=-1.0)
    search(core, prices, np.zeros(0), seed=0, target=-np.inf, deadline=np.inf)


def _overloaded(rng: np.random.Generator) -> tuple[Core, np.ndarray]:
    """A plan with everything at one region, and prices."""
    region = np.tile(np.arange(REGIONS + 1, dtype=np.int32), (ROWS, 1))
    cost = np.hstack([rng.uniform(1, 2, (ROWS, REGIONS)), np.full((ROWS, 1), 9.0)])
    use = np.repeat(rng.uniform(1, 2, (ROWS, 1, 1)), REGIONS + 1, 1)
    use[:, -1] = 0
    units = np.zeros((ROWS, REGIONS + 1), np.int64)
    units[:, 0] = 1
    room = np.full((REGIONS + 1, 1), 0.3 * use[:, 0].sum())
    room[-1] = np.inf
    toll = np.zeros((ROWS, REGIONS + 1, 0))
    core = Core(np.arange(ROWS), region, cost, use, toll, cost.copy(), units, room, np.zeros(0))
    return core, np.vstack([rng.uniform(0.1, 1, (REGIONS, 1)), np.zeros((1, 1))])


if __name__ == "__main__":
    rehearse()
