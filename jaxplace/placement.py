"""The answer of a solve: who runs where, what is proven about it, and how it came about."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from jaxplace.instance import Instance
from jaxplace.status import Status


if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Duals:
    """Prices of the constraints: the witness from which anyone can recompute the bound.

    Attributes:
        capacity: [m, R] >= 0, USD for one more unit of a region's capacity.
        moves: >= 0, USD for one more move; 0 without `policy.max_moves`.
        carbon: >= 0, USD for one more kg; 0 without `policy.carbon_cap_kg`.
    """

    capacity: np.ndarray
    moves: float = 0.0
    carbon: float = 0.0


@dataclass(frozen=True)
class Assignment:
    """Whole units as flows, one entry per (row, region) in use, sorted by row, then region.

    Attributes:
        row: [f] int64, row of the instance.
        region: [f] int32, region, or -1 where the units are unplaced.
        count: [f] int64 > 0.
    """

    row: np.ndarray
    region: np.ndarray
    count: np.ndarray


@dataclass(frozen=True)
class Certificate:
    """What is proven about an assignment, computed in float64 from the instance alone.

    `gap` is what the plan can at most lose against the best possible plan, as a share of its
    objective.  It says nothing about the tables being right.

    Attributes:
        feasible: every unit accounted for, at allowed regions, within capacities and budgets.
        violations: one sentence per kind of violation; empty if feasible.
        objective_usd: cost of the plan with every penalty, the unservable units' included; a sum
            that proves nothing by itself unless `feasible`.
        lower_bound_usd: the Lagrangian bound at the reported duals (CONTRACT section 1), the
            unservable units' penalty included, less the rounding allowance; no plan costs less.
        unservable_usd: penalty of the units that no region allows, part of both figures above.
        gap: (objective - bound) / |objective| with `unservable_usd` left out of both; inf unless
            feasible; 0 where both are 0.
        cost: energy_usd, carbon_usd, egress_usd, move_usd, unplaced_usd; a dense instance has
            only `cost_usd` and `unplaced_usd`.
        units, placed, unplaced, unservable, moves: whole units.
        kwh: facility energy [kWh]; carbon_kg: [kg] (0 for a dense instance).
        allowed_pairs: pairs of request row and region that the rules allow.
        load: [m, R] use at each region.
        region_units: [m]; region_kwh: [m]; region_carbon_kg: [m]; region_cost_usd: [m].
    """

    feasible: bool
    violations: tuple[str, ...]
    objective_usd: float
    lower_bound_usd: float
    unservable_usd: float
    gap: float
    cost: dict[str, float]
    units: int
    placed: int
    unplaced: int
    unservable: int
    moves: int
    kwh: float
    carbon_kg: float
    allowed_pairs: int
    load: np.ndarray
    region_units: np.ndarray
    region_kwh: np.ndarray
    region_carbon_kg: np.ndarray
    region_cost_usd: np.ndarray


@dataclass(frozen=True)
class Checkpoint:
    """One line of the progress log.  `bound` and `plan` [USD] are the best so far, or None."""

    elapsed_s: float
    stage: str
    step: int
    temperature: float | None
    bound: float | None
    plan: float | None
    overload: float | None  # share of all use that exceeds a capacity in the relaxed plan


@dataclass(frozen=True)
class Placement:
    """A plan and its proof.  `save` writes the files of CONTRACT section 5."""

    instance: Instance
    assignment: Assignment
    duals: Duals
    certificate: Certificate
    status: Status
    baselines: dict[str, dict[str, float]]  # name -> {objective_usd, kwh, carbon_kg, unplaced}
    trace: tuple[Checkpoint, ...]
    timings_s: dict[str, float]
    seed: int
    device: str
    versions: dict[str, str] = field(default_factory=dict)
    least: dict[str, float] = field(default_factory=dict)  # budgets that cannot be kept, see there

    # The tables and files are made by `output`, a layer above that few callers of `solve` need:
    # it is imported on first use, and with it pandas and Arrow.

    @property
    def assignments(self) -> "pd.DataFrame":
        """Who runs where: request_id, region (null: unplaced), count."""
        from jaxplace import output

        return output.assignments(self)

    @property
    def changes(self) -> "pd.DataFrame":
        """What moves, is newly placed or dropped: request_id, from_region, to_region, count."""
        from jaxplace import output

        return output.changes(self)

    @property
    def regions(self) -> "pd.DataFrame":
        """Per region: load, capacity and dual of each resource, units, kwh, carbon_kg, cost_usd."""
        from jaxplace import output

        return output.regions(self)

    @property
    def summary(self) -> dict[str, Any]:
        """The figures of `summary.json`."""
        from jaxplace import output

        return output.summary(self)

    @property
    def region(self) -> np.ndarray:
        """[n] region of each request, -1 where unplaced; `InputError` unless all counts are 1."""
        from jaxplace import output

        return output.region(self)

    def save(self, out: Path | str) -> None:
        """Write the files of CONTRACT section 5 into the folder `out`, all of them or none.

        Raises:
            InputError: `out` is a file, or a folder with files that are not an earlier run's.
            OutputError: the disk refused; an earlier run's files are then unchanged.
        """
        from jaxplace import output

        output.save(self, out)
