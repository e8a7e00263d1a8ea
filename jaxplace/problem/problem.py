"""What the kernels see: rows of scalars and small tables, scaled, padded, in float32.

`Rows` holds one entry per row of the instance, `Tables` what rows of a class share.  Any subset
of the rows with any weights is again a problem (`take`), which is how sampling and the core of
undecided rows are made.  Padding rows have weight 0; padding regions are allowed to nobody.
"""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from jaxplace import runtime
from jaxplace.shapes import sample_bucket


if TYPE_CHECKING:
    from jaxplace.problem.menus import MenuBook

Array = Any  # the host's (NumPy), or the device's (JAX): whoever computes has it


class Rows(NamedTuple):
    """Scalars of the rows, N of them after padding; R resources; dense fields are [N, m].

    Fields that an instance has no need of are None, and the kernels leave their terms out.
    """

    weight: Array  # [N] f32 units of the row; 0: padding
    use: Array  # [N, R] f32, scaled
    unplaced: Array  # [N] f32, scaled
    scale: Array  # [N] f32 > 0, what the temperature is multiplied by
    energy: Array | None  # [N] f32
    egress: Array | None  # [N] f32
    state: Array | None  # [N] f32
    leave: Array | None  # [N] f32, cost of a move beside its state
    home: Array | None  # [N] i32, current region or -1
    workload: Array | None  # [N] i32 row of the workload tables
    origin_zone: Array | None  # [N] i32 row of `transfer`
    home_zone: Array | None  # [N] i32 row of `transfer`
    place: Array | None  # [N] i32 row of `reach`: (origin, workload)
    budget: Array | None  # [N] i32 rank of the latency budget
    residency: Array | None  # [N] i32 row of `legal`
    fit: Array | None  # [N, R] i32 rank of the use
    cost: Array | None  # [N, m] f32, dense instances only
    allowed: Array | None  # [N, m] bool, dense instances only
    factor: Array | None  # [N, m, R] f32, dense instances whose use depends on the region


class Tables(NamedTuple):
    """What the rows of a class share; m regions after padding, k workloads."""

    energy: Array | None  # [k, m] f32, cost per energy
    carbon: Array | None  # [k, m] f32, kg per energy; only with a carbon cap
    use_factor: Array | None  # [k, m] f32; None: 1 everywhere
    transfer: Array | None  # [z, m] f32
    reach: Array | None  # [o*k, m] i32 rank of RTT + service; hosted or not is folded in
    legal: Array | None  # [l, m] bool
    fit: Array | None  # [k, m, R] i32 rank of the largest use that fits


class Lists(NamedTuple):
    """A few regions that each row chooses from, and "unplaced", all in order of reduced cost.

    In tiles of W options, and the first tiles of all rows come before the second ones: a pass
    reads a row's next tile only where one of its options may be near the best.  The order is
    that at the duals where they were listed; at others, what these fell by says how far a tile's
    options are away at least.  Host arrays; padding options, and the unplaced one, are at region
    m, which has no dual; B budgets are set.
    """

    region: np.ndarray  # [T, N, W] i32
    cost: np.ndarray  # [T, N, W] f32, scaled
    use: np.ndarray  # [R, T, N, W] f32, scaled
    toll: np.ndarray  # [B, T, N, W] f32: what a unit takes of each budget
    floor: np.ndarray  # [T, N] f32: a tile's least reduced cost where it was listed
    most: np.ndarray  # [R + B, N] f32: the largest `use` and `toll`
    seen: np.ndarray  # [blocks, m + 1] u8: 1 where a block of rows lists the region
    prices: np.ndarray  # [R, m + 1] f32 capacity duals where the rows were listed
    asked: np.ndarray  # [B] f32 the budgets' there

    def take(self, index: np.ndarray) -> "Lists":
        """The lists of some rows, all in one block."""
        options = {name: np.take(getattr(self, name), index, axis=-2) for name in self._fields[:4]}
        rows = {name: np.take(getattr(self, name), index, axis=-1) for name in self._fields[4:6]}
        return self._replace(**options, **rows, seen=self.seen.max(0, keepdims=True))


class Duals(NamedTuple):
    """Scaled duals, the host's or the device's; None where the policy sets no such budget."""

    capacity: Any  # [m, R] f32
    moves: Any = None  # [] f32
    carbon: Any = None  # [] f32


@dataclass(frozen=True)
class Scaling:
    """How the device's numbers become the user's: multiply by these."""

    cost: float  # USD per scaled cost
    use: np.ndarray  # [R] units of use per scaled use

    def duals(self, scaled: np.ndarray) -> np.ndarray:
        """Capacity duals [m, R] in USD per unit from scaled ones."""
        return scaled * (self.cost / self.use)

    def scaled(self, duals: np.ndarray) -> np.ndarray:
        """The other way round."""
        return duals / (self.cost / self.use)


@dataclass(frozen=True)
class Problem:
    """A relaxation's input: rows, tables, what is left of each constraint."""

    rows: Rows
    tables: Tables
    size: int  # rows that are not padding
    regions: int  # regions that are not padding
    limit: np.ndarray  # [m, R] f64 scaled capacity, less the load of rows held fixed
    budgets: np.ndarray  # [2] f64 moves, kg: what is left of the budgets; inf: none
    scaling: Scaling
    book: "MenuBook | None" = None  # of all rows, those of a `take` too; None: dense
    lists: Lists | None = None  # if set, rows choose from these regions only

    @cached_property
    def weight(self) -> np.ndarray:
        """[size] f64 units of each row, on the host."""
        return np.asarray(self.rows.weight)[: self.size].astype(np.float64)

    @cached_property
    def scale(self) -> np.ndarray:
        """[size] f64 what each row's temperature is multiplied by, on the host."""
        return np.asarray(self.rows.scale)[: self.size].astype(np.float64)

    @cached_property
    def use(self) -> float:
        """Scaled use of all rows, mean over the resources."""
        if self.rows.factor is not None:
            return float(self.weight.sum())
        return float(self.weight @ np.asarray(self.rows.use, np.float64)[: self.size].mean(1))

    @cached_property
    def carbon(self) -> float:
        """Kg that a unit emits where it emits most, mean over the units; 1 without a carbon cap."""
        if self.rows.energy is None:
            return 1.0
        units = max(float(self.weight.sum()), 1e-300)
        carbon = float(self.weight @ np.asarray(self.rows.energy, np.float64)[: self.size]) / units
        if self.tables.carbon is not None:
            carbon *= float(np.asarray(self.tables.carbon).max())
        return carbon

    def take(self, index: np.ndarray, weight: np.ndarray | None = None) -> "Problem":
        """The problem of some rows, in that order; `weight` replaces theirs."""
        padded = np.zeros(sample_bucket(len(index)), np.int32)
        padded[: len(index)] = index
        weights = np.zeros(len(padded), np.float32)
        weights[: len(index)] = self.weight[index] if weight is None else weight
        lists = None if self.lists is None else self.lists.take(padded)
        if runtime.platform() == "cpu":  # XLA would compile a gather for every size
            rows = Rows(*(None if f is None else _gather(f, padded) for f in self.rows))
        else:
            there = runtime.to_device(padded)
            rows = Rows(*(None if f is None else f[there] for f in self.rows))
        return replace(self, rows=rows, size=len(index), lists=lists).weighted(weights)

    def on_device(self) -> "Problem":
        """The problem with its arrays where JAX computes."""
        rows, tables = (
            [None if field is None else runtime.to_device(field) for field in fields]
            for fields in (self.rows, self.tables)
        )
        return replace(self, rows=Rows(*rows), tables=Tables(*tables))

    def weighted(self, weight: np.ndarray) -> "Problem":
        """The problem with other weights [N] f32 of its rows."""
        host = isinstance(self.rows.weight, np.ndarray)
        there = weight if host else runtime.to_device(weight)
        return replace(self, rows=self.rows._replace(weight=there))


def _gather(field: Array, index: np.ndarray) -> np.ndarray:
    return np.take(np.asarray(field), index, axis=0, mode="clip")
