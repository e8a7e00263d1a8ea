"""The pairwise numbers of an instance in plain float64 NumPy: the reference that others agree with.

Every function takes `rows` and, optionally, `regions`.  Without `regions` the answer is a block
[b, m] over all regions; with `regions` [b] it is a vector [b] over the pairs (rows[p],
regions[p]).  The formulas are CONTRACT section 1, in the floating-point order written there, so
that whoever recomputes `allowed` from the tables finds the same pairs, ties included.
"""

import math
from collections.abc import Iterator
from typing import NamedTuple, TypeAlias

import numpy as np

from jaxplace.instance import DenseTerms, Instance, Terms
from jaxplace.placement import Assignment


Rows: TypeAlias = "np.ndarray | slice"  # a slice only for a block

BLOCK_PAIRS = 1 << 17  # 1 MiB of float64: a block's temporaries stay in the cache
BLOCK_FLOWS = 1 << 18  # flows that `totals` evaluates at once: 2 MiB an array


class Parts(NamedTuple):
    """What one unit costs and causes, each [b, m] or [b].

    Attributes:
        cost: name of the part -> [USD]: `energy_usd`, `carbon_usd`, `egress_usd`, `move_usd`; a
            dense instance has `cost_usd` only.
        kwh: facility energy [kWh]; kg: carbon [kg]; both 0 for a dense instance.
        move: bool, whether the unit would run elsewhere than now.
    """

    cost: dict[str, np.ndarray]
    kwh: np.ndarray
    kg: np.ndarray
    move: np.ndarray


class Totals(NamedTuple):
    """Sums over a plan's placed and unplaced units; m regions, R resources.

    Attributes:
        cost: the parts of `Parts.cost` and `unplaced_usd` [USD].
        kwh, carbon_kg: facility energy [kWh] and carbon [kg].
        placed, unplaced, moves: whole units.
        load: [m, R] use at each region.
        region_units, region_kwh, region_carbon_kg, region_cost_usd: [m].
    """

    cost: dict[str, float]
    kwh: float
    carbon_kg: float
    placed: int
    unplaced: int
    moves: int
    load: np.ndarray
    region_units: np.ndarray
    region_kwh: np.ndarray
    region_carbon_kg: np.ndarray
    region_cost_usd: np.ndarray

    @property
    def objective_usd(self) -> float:
        """The plan's cost with every penalty."""
        return math.fsum(self.cost.values())


def blocks(instance: Instance, pairs: int = BLOCK_PAIRS) -> Iterator[slice]:
    """Slices that cover the rows, each of at most `pairs` pairs (and at least one row)."""
    step = max(1, pairs // max(1, instance.regions))
    for start in range(0, instance.rows, step):
        yield slice(start, min(start + step, instance.rows))


def parts(instance: Instance, rows: Rows, regions: np.ndarray | None = None) -> Parts:
    """Cost by part, energy, carbon and moves of one unit, each [b, m] or [b]."""
    at = _At(rows, regions)
    move = _moves(instance, at)
    terms, policy = instance.terms, instance.policy
    if isinstance(terms, DenseTerms):
        given = at.pair(terms.cost)
        zero = np.broadcast_to(0.0, given.shape)
        return Parts({"cost_usd": given}, zero, zero, move)
    kwh = at.row(terms.energy_kwh) * at.table(terms.energy_factor, terms.workload)
    kwh = kwh * at.region(terms.pue)
    kg = kwh * at.region(terms.carbon_g_per_kwh) / 1e3
    carried = at.row(terms.state_gb) * _transfer(terms, at, _current_zone(instance, terms, rows))
    by_part = {
        "energy_usd": kwh * at.region(terms.price_usd_per_mwh) / 1e3,
        "carbon_usd": kg * policy.carbon_price_usd_per_t / 1e3,
        "egress_usd": at.row(terms.egress_gb)
        * _transfer(terms, at, terms.origin_zone[terms.origin[rows]]),
        "move_usd": np.where(move, policy.move_usd + carried, 0.0),
    }
    return Parts(by_part, kwh, kg, move)


def cost(
    instance: Instance,
    rows: Rows,
    regions: np.ndarray | None = None,
    *,
    usd_per_move: float = 0.0,
    usd_per_kg: float = 0.0,
) -> np.ndarray:
    """`c_ij` [USD], with the budgets' duals where they are given, [b, m] or [b].

    Equal to the sum of `parts(...).cost` up to rounding (1e-15 of the terms' magnitudes), and
    several times faster: the tables per class are combined first, and terms that are zero for
    every row are left out.  It may be a view of a dense instance's own matrix: do not write.
    """
    at = _At(rows, regions)
    terms, policy = instance.terms, instance.policy
    if isinstance(terms, DenseTerms):
        total = at.pair(terms.cost)
        return total + usd_per_move * _moves(instance, at) if usd_per_move else total
    usd_per_kg = usd_per_kg + policy.carbon_price_usd_per_t / 1e3
    usd_per_kwh = (terms.price_usd_per_mwh + usd_per_kg * terms.carbon_g_per_kwh) / 1e3
    per_kwh = terms.energy_factor * (terms.pue * usd_per_kwh)
    total = at.table(per_kwh, terms.workload)
    total *= at.row(terms.energy_kwh)
    egress = terms.egress_gb[rows]
    if egress.any():
        zone = terms.origin_zone[terms.origin[rows]]
        total += at.row(terms.egress_gb) * _transfer(terms, at, zone)
    current, state = instance.current[rows], terms.state_gb[rows]
    if (current >= 0).any():
        extra: np.ndarray | float = policy.move_usd + usd_per_move
        if state.any():
            zone = _current_zone(instance, terms, rows)
            extra = extra + at.row(terms.state_gb) * _transfer(terms, at, zone)
        if state.any() or extra:
            total += _moves(instance, at) * extra
    return total


def allowed(instance: Instance, rows: Rows, regions: np.ndarray | None = None) -> np.ndarray:
    """Whether latency, residency, hosting and size allow the pair; bool [b, m] or [b]."""
    at = _At(rows, regions)
    terms = instance.terms
    if isinstance(terms, DenseTerms):
        return at.pair(terms.allowed)  # "one unit fits" is part of the mask there
    ms = at.table(terms.rtt_ms, terms.origin)
    ms *= 1 + instance.policy.latency_margin
    if terms.service_ms.any():
        ms += at.table(terms.service_ms, terms.workload)
    ok = (ms <= at.row(terms.latency_budget_ms)) & np.isfinite(ms)
    if not terms.legal.all():
        ok &= at.table(terms.legal, terms.residency)
    if not terms.hosted.all():
        ok &= at.table(terms.hosted, terms.workload)
    for r in range(len(instance.resources)):
        if instance.use[rows, r].max(initial=0.0) * terms.use_factor.max() > (
            instance.capacity[:, r].min()
        ):
            factor = at.table(terms.use_factor, terms.workload)
            ok &= at.row(instance.use[:, r]) * factor <= at.region(instance.capacity[:, r])
    return ok


def use(
    instance: Instance, resource: int, rows: Rows, regions: np.ndarray | None = None
) -> np.ndarray:
    """What one unit takes of a resource, [b, m] or [b]."""
    at = _At(rows, regions)
    terms, per_unit = instance.terms, at.row(instance.use[:, resource])
    if isinstance(terms, Terms):
        return per_unit * at.table(terms.use_factor, terms.workload)
    if terms.use_factor is not None:
        return per_unit * at.pair(terms.use_factor[:, :, resource])
    return per_unit * np.ones((1, instance.regions)) if regions is None else per_unit


def totals(instance: Instance, assignment: Assignment) -> Totals:
    """Sums over the plan; every flow must name an existing row and region (or -1)."""
    m = instance.regions
    load, by_region = np.zeros((m, len(instance.resources))), np.zeros((4, m))
    sums: dict[str, list[float]] = {}
    moves, placed = 0, assignment.region >= 0
    row, region, count = (x[placed] for x in (assignment.row, assignment.region, assignment.count))
    for start in range(0, max(1, len(row)), BLOCK_FLOWS):
        i, j, units = (x[start : start + BLOCK_FLOWS] for x in (row, region, count))
        part = parts(instance, i, j)
        moves += int(units[part.move].sum())
        for name, value in part.cost.items():
            sums.setdefault(name, []).append(float((units * value).sum()))
        each = (np.ones(len(i)), part.kwh, part.kg, np.sum(list(part.cost.values()), axis=0))
        for k, value in enumerate(each):
            by_region[k] += np.bincount(j, units * value, m)
        for r in range(len(instance.resources)):
            load[:, r] += np.bincount(j, units * use(instance, r, i, j), m)
    left = assignment.count[~placed]
    penalty = float((left * instance.unplaced[assignment.row[~placed]]).sum())
    return Totals(
        cost={**{name: math.fsum(x) for name, x in sums.items()}, "unplaced_usd": penalty},
        kwh=float(by_region[1].sum()),
        carbon_kg=float(by_region[2].sum()),
        placed=int(count.sum()),
        unplaced=int(left.sum()),
        moves=moves,
        load=load,
        region_units=by_region[0].astype(np.int64),
        region_kwh=by_region[1],
        region_carbon_kg=by_region[2],
        region_cost_usd=by_region[3],
    )


class _At(NamedTuple):
    """Where to evaluate: a block of rows, or pairs.  Each method gives [b, m]-like or [b]."""

    rows: Rows
    regions: np.ndarray | None

    def row(self, values: np.ndarray) -> np.ndarray:
        """A number per row, ready to broadcast."""
        picked = values[self.rows]
        return picked[:, None] if self.regions is None else picked

    def region(self, values: np.ndarray) -> np.ndarray:
        """A number per region."""
        return values[None] if self.regions is None else values[self.regions]

    def table(self, values: np.ndarray, class_of_row: np.ndarray) -> np.ndarray:
        """A table [class, m] at the rows' classes; always a copy."""
        return self.lookup(values, class_of_row[self.rows])

    def lookup(self, values: np.ndarray, classes: np.ndarray) -> np.ndarray:
        """A table [class, m] at given classes [b]; always a copy."""
        return values[classes] if self.regions is None else values[classes, self.regions]

    def pair(self, values: np.ndarray) -> np.ndarray:
        """A matrix [n, m] at the pairs; a view where `rows` is a slice."""
        return values[self.rows] if self.regions is None else values[self.rows, self.regions]


def _moves(instance: Instance, at: _At) -> np.ndarray:
    """Bool, whether the row runs somewhere and the region is another one."""
    current = at.row(instance.current)
    return (current >= 0) & (current != at.region(np.arange(instance.regions)))


def _current_zone(instance: Instance, terms: Terms, rows: Rows) -> np.ndarray:
    """[b] zone of the current region; any zone where there is none, for `move` masks it."""
    return terms.region_zone[np.maximum(instance.current[rows], 0)]


def _transfer(terms: Terms, at: _At, zone: np.ndarray) -> np.ndarray:
    """USD/GB from the zones [b] to the regions."""
    if at.regions is None and len(zone) < len(terms.transfer):
        return np.take(terms.transfer[zone], terms.region_zone, axis=1)
    if at.regions is None:
        return terms.transfer[:, terms.region_zone][zone]
    return terms.transfer[zone, terms.region_zone[at.regions]]
