"""One planning interval as plain NumPy arrays: what a solve is asked, in float64 and with units.

An `Instance` is what every later stage starts from and what the certificate is checked against.
Its rows are *parts*: the units of one request that run in the same region now (without a
`current` table, a row is a request).  The pairwise numbers (cost, use, allowed) are never stored
as a matrix: `Terms` keeps them as small tables per class (workload, origin, network zone,
residency) and one scalar per row.  `DenseTerms` is the exception, for users who bring matrices.
"""

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from jaxplace.errors import InputError


ANYWHERE = 0  # the row of `Terms.legal` that forbids nothing
NOWHERE = -1  # the region index of an unplaced unit, and of a row without a current region


@dataclass(frozen=True)
class Policy:
    """What the operator wants, beside the tables.

    Attributes:
        carbon_price_usd_per_t: weight of carbon [USD/t CO2e].
        carbon_column: the column of `signals` that counts as carbon.
        latency_margin: share added to every RTT [1].
        headroom: share of every capacity that is kept free, in [0, 1) [1].
        move_usd: cost of moving one unit, beside that of its state [USD].
        transfer_usd_per_gb: where `transfer` lacks a pair of unequal zones [USD/GB].
        unplaced_usd: penalty of an unplaced unit [USD].
        unplaced_usd_per_kwh: the same, per kWh of the unit's IT energy [USD/kWh].
        max_moves: fleet budget of moved units, or None.
        carbon_cap_kg: fleet budget of carbon [kg], or None.
    """

    carbon_price_usd_per_t: float = 0.0
    carbon_column: str = "carbon_g_per_kwh"
    latency_margin: float = 0.0
    headroom: float = 0.0
    move_usd: float = 0.0
    transfer_usd_per_gb: float = 0.09
    unplaced_usd: float = 0.01
    unplaced_usd_per_kwh: float = 5.0
    max_moves: float | None = None
    carbon_cap_kg: float | None = None

    def __post_init__(self) -> None:
        faults = []
        for name, value in vars(self).items():
            if name == "carbon_column" or value is None:
                continue
            if not np.isfinite(value) or value < 0:
                faults.append(f"`policy.{name}` must be a finite number >= 0. Got {value}")
        if np.isfinite(self.headroom) and self.headroom >= 1:
            faults.append(f"`policy.headroom` must be below 1. Got {self.headroom}")
        if faults:
            raise InputError(*faults)


ROW_TERMS = (  # fields of `Terms` that have a value per row, as costs and rules use them
    "energy_kwh",
    "egress_gb",
    "state_gb",
    "latency_budget_ms",
    "origin",
    "workload",
    "residency",
)


@dataclass(frozen=True)
class Terms:
    """The pairwise numbers of CONTRACT section 1 as tables per class (n rows, m regions).

    Attributes:
        energy_kwh: [n] IT energy of one unit [kWh].
        egress_gb: [n] GB sent back to the origin per unit.
        state_gb: [n] GB that a move carries per unit.
        latency_budget_ms: [n] what is left of the budget after `client_rtt_ms`; inf: none [ms].
        origin: [n] row of `rtt_ms`.
        workload: [n] row of `energy_factor`, `use_factor`, `service_ms`, `hosted`.
        residency: [n] row of `legal`.
        price_usd_per_mwh: [m] electricity price at the hour; may be negative.
        carbon_g_per_kwh: [m] carbon intensity at the hour.
        pue: [m] facility energy per IT energy.
        energy_factor: [k, m] energy of workload k at a region, relative to `energy_kwh` [1].
        use_factor: [k, m] the same for every resource's use [1].
        service_ms: [k, m] time to serve [ms].
        hosted: [k, m] bool, whether the region hosts the workload.
        rtt_ms: [o, m] service node to compute node; inf where unreachable [ms].
        legal: [l, m] bool, countries that the residency class allows; row 0 allows all.
        origin_zone: [o] network zone of an origin.
        region_zone: [m] network zone of a region.
        transfer: [z, z] price of carrying data from zone to zone [USD/GB].
        client_rtt_ms: [n] what was taken off the budgets; None: nothing [ms].
    """

    energy_kwh: np.ndarray
    egress_gb: np.ndarray
    state_gb: np.ndarray
    latency_budget_ms: np.ndarray
    origin: np.ndarray
    workload: np.ndarray
    residency: np.ndarray
    price_usd_per_mwh: np.ndarray
    carbon_g_per_kwh: np.ndarray
    pue: np.ndarray
    energy_factor: np.ndarray
    use_factor: np.ndarray
    service_ms: np.ndarray
    hosted: np.ndarray
    rtt_ms: np.ndarray
    legal: np.ndarray
    origin_zone: np.ndarray
    region_zone: np.ndarray
    transfer: np.ndarray
    client_rtt_ms: np.ndarray | None = None

    def take(self, rows: np.ndarray) -> "Terms":
        """The terms of some rows."""
        fields = (*ROW_TERMS, "client_rtt_ms")
        own = {name: getattr(self, name) for name in fields if getattr(self, name) is not None}
        return replace(self, **{name: values[rows] for name, values in own.items()})


@dataclass(frozen=True)
class DenseTerms:
    """Cost, use and mask given pair by pair (`Instance.from_arrays`).

    Attributes:
        cost: [n, m] cost of one unit [USD, or the user's own unit].
        allowed: [n, m] bool; already False where one unit does not fit.
        use_factor: [n, m, R] what `Instance.use` [n, R] is multiplied by at a region, or None
            where use does not depend on the region.  (`use` is then 1.)
    """

    cost: np.ndarray
    allowed: np.ndarray
    use_factor: np.ndarray | None

    def take(self, rows: np.ndarray) -> "DenseTerms":
        """The terms of some rows."""
        factor = None if self.use_factor is None else self.use_factor[rows]
        return DenseTerms(self.cost[rows], self.allowed[rows], factor)


@dataclass(frozen=True)
class Places:
    """Where things lie, for maps and for the shares by distance; not part of the optimisation."""

    region_latitude: np.ndarray  # [m] deg
    region_longitude: np.ndarray  # [m] deg
    region_country: np.ndarray  # [m] ISO 3166-1 alpha-2
    origin_id: np.ndarray  # [o]
    origin_latitude: np.ndarray  # [o] deg
    origin_longitude: np.ndarray  # [o] deg
    workload_id: np.ndarray  # [k]
    assumptions: tuple[str, ...] = ()  # what the tables' metadata marks as assumed
    region_grid_zone: np.ndarray | None = None  # [m] whose price and carbon a region has


@dataclass(frozen=True)
class Instance:
    """What one solve is asked.  n rows, m regions, R resources.

    Attributes:
        request_id: [q] ids of the requests, as in the table.
        region_id: [m] ids of the regions.
        resources: R names.
        request: [n] int64, the request of each row; rows of a request are adjacent.
        count: [n] int64 > 0, units of the row.
        current: [n] int32, the region where the row's units run now, or -1.
        use: [n, R] what one unit takes of each resource (times the use factor).
        capacity: [m, R] after headroom.
        unplaced: [n] penalty of one unplaced unit [USD].
        terms: the pairwise numbers.
        policy: the policy they were made with.
        hour: the hour of the signals, ISO 8601, or None.
        places: coordinates and names for the report, or None.
        notes: what the user should be told about the input (unknown columns, a default chosen).
    """

    request_id: np.ndarray
    region_id: np.ndarray
    resources: tuple[str, ...]
    request: np.ndarray
    count: np.ndarray
    current: np.ndarray
    use: np.ndarray
    capacity: np.ndarray
    unplaced: np.ndarray
    terms: Terms | DenseTerms
    policy: Policy = field(default_factory=Policy)
    hour: str | None = None
    places: Places | None = None
    notes: tuple[str, ...] = ()

    def take(self, rows: np.ndarray, count: np.ndarray | None = None) -> "Instance":
        """The instance of some rows in that order, each a request of its own.

        Args:
            rows: their indices.
            count: units in place of theirs.
        """
        return replace(
            self,
            request_id=np.arange(len(rows)),
            request=np.arange(len(rows)),
            count=self.count[rows] if count is None else count,
            current=self.current[rows],
            use=self.use[rows],
            unplaced=self.unplaced[rows],
            terms=self.terms.take(rows),
        )

    @property
    def rows(self) -> int:
        """Number of rows n."""
        return len(self.count)

    @property
    def regions(self) -> int:
        """Number of regions m."""
        return len(self.region_id)

    @classmethod
    def from_arrays(
        cls,
        *,
        cost: Any,
        use: Any,
        capacity: Any,
        allowed: Any = None,
        count: Any = None,
        unplaced: Any = None,
    ) -> "Instance":
        """An instance from matrices: the generalized assignment problem of the literature.

        Args:
            cost: [n, m] cost of one unit of a request at a region.
            use: [n], [n, R], [n, m] or [n, m, R], >= 0.  Where n == m == R could be meant in
                two ways, two dimensions are read as [n, m] if `capacity` is [m].
            capacity: [m] or [m, R], >= 0.
            allowed: bool [n, m]; default: everywhere.
            count: int [n], >= 1; default 1.
            unplaced: [n] or a scalar, penalty of one unplaced unit.  Default: 1 + 10 times the
                spread (largest less smallest) of the allowed costs; `notes` says so.

        Raises:
            InputError: shapes that do not fit, negative or non-finite numbers.
        """
        from jaxplace import arrays  # the checks are long and most users load tables

        return arrays.instance_from_arrays(
            cost=cost, use=use, capacity=capacity, allowed=allowed, count=count, unplaced=unplaced
        )
