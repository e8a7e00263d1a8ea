"""Compiles loops and keeps them on the disk: `python -m jaxplace.repair.rehearsal`.

Compiling holds the interpreter's lock, so a first solve does this in a process beside it: first
the curvature, which that one needs while it is still compiling what comes before, then repair.
"""

import numpy as np

from jaxplace.instance import NOWHERE, Instance, Terms
from jaxplace.kernels import api as kernels
from jaxplace.problem import Duals, compile_instance
from jaxplace.repair import repair
from jaxplace.repair.chains import search
from jaxplace.repair.core import Core


ROWS, REGIONS = 12, 4


def rehearse() -> None:
    """A curvature, then the repair of a small plan that needs everything: overloads to chains."""
    problem = compile_instance(_instance()).problem
    kernels.curvature(problem, Duals(np.zeros(problem.limit.shape, np.float32)), 1.0)
    core, prices = _overloaded(np.random.default_rng(0))
    repair(core, prices, rise=1e-3, deadline=np.inf, enough=0.0, worth=-1.0)
    search(core, prices, np.zeros(0), seed=0, target=-np.inf, deadline=np.inf)


def _instance() -> Instance:
    """Rows of one class without any feature: those that are missing have the same types."""
    row, region = np.ones(ROWS), np.ones(REGIONS)
    table, first = np.ones((1, REGIONS)), np.zeros(ROWS, np.int64)
    terms = Terms(
        energy_kwh=row, egress_gb=0 * row, state_gb=0 * row, latency_budget_ms=np.inf * row,
        origin=first, workload=first, residency=first,
        price_usd_per_mwh=np.arange(REGIONS) + 1.0, carbon_g_per_kwh=region, pue=region,
        energy_factor=table, use_factor=table, service_ms=table, hosted=table > 0,
        rtt_ms=table, legal=table > 0, origin_zone=first[:1],
        region_zone=np.zeros(REGIONS, np.int64), transfer=np.zeros((1, 1)),
    )  # fmt: skip
    return Instance(
        request_id=np.arange(ROWS), region_id=np.arange(REGIONS), resources=("use",),
        request=np.arange(ROWS), count=np.ones(ROWS, np.int64),
        current=np.full(ROWS, NOWHERE, np.int32), use=row[:, None],
        capacity=ROWS * region[:, None], unplaced=row, terms=terms,
    )  # fmt: skip


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
