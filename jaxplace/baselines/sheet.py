"""What the rules' loops read of an instance: numbers per row, and rows of small tables.

The figure that a rule minimises is, for a unit of row i at region j,

    scale_i * price[price_of_i, j] + egress_gb_i * toll[zone_i, zone_j]
                            + (move_usd + state_gb_i * toll[home_zone_i, zone_j]) unless at home

in the floating-point order of `evaluate.cost`.  By cost, the scale is the energy; by distance, it
is 1 and the price the RTT; a dense instance has a row of the tables for every row of its own.

Within a zone only the price differs.  So a menu, which the rows of a class share, lists the
regions zone by zone and in rising order of price.
"""

from typing import NamedTuple

import numpy as np

from jaxplace.instance import DenseTerms, Instance, Terms
from jaxplace.native import frozen


class Sheet(NamedTuple):
    """n rows, m regions, R resources; what an instance lacks is a table of one row.

    Attributes:
        use: [n, R] of one unit, before the factor.
        energy: [n] IT energy of one unit [kWh].
        scale: [n] of the row of `price`, >= 0.
        egress, state: [n] GB per unit.
        budget: [n] latency budget [ms].
        worth: [n] the figure at which a unit is rather left out.
        home: [n] region where the units run now, or -1.
        origin, work, price_of, factor_of, law: [n] rows of `rtt`; `service` and `kg`; `price`;
            `factor`; `legal`.
        zone, home_zone: [n] rows of `toll`: of the origin, and of the home.
        menu: [n] row of `order` and `start`.
        price: [., m] the figure per scale.
        toll: [z, z] USD/GB.
        kg: [., m] carbon per kWh of IT energy.
        rtt: [o, m] with the margin [ms]; NaN where unreachable.
        service: [., m] time to serve [ms]; NaN where the workload is not hosted.
        factor: [., R, m] of `use`.
        legal: [., m] bool.
        order: [., m] int32, menus: the regions by zone, then price.
        start: [., z + 1] int32, where each zone begins in the menu.
        work_of_menu: [.] row of `service` and `factor` that a menu's rows share; one more than
            the last row: any of them.
        rising: whether the rows of a menu have one row of `price`, so that it rises in a zone.
        move_usd: cost of a move without its state [USD].
    """

    use: np.ndarray
    energy: np.ndarray
    scale: np.ndarray
    egress: np.ndarray
    state: np.ndarray
    budget: np.ndarray
    worth: np.ndarray
    home: np.ndarray
    origin: np.ndarray
    work: np.ndarray
    price_of: np.ndarray
    factor_of: np.ndarray
    law: np.ndarray
    zone: np.ndarray
    home_zone: np.ndarray
    menu: np.ndarray
    price: np.ndarray
    toll: np.ndarray
    kg: np.ndarray
    rtt: np.ndarray
    service: np.ndarray
    factor: np.ndarray
    legal: np.ndarray
    order: np.ndarray
    start: np.ndarray
    work_of_menu: np.ndarray
    rising: bool
    move_usd: float


def by_cost(instance: Instance) -> Sheet:
    """The sheet whose figure is the cost [USD]; a unit is worth its penalty."""
    if isinstance(instance.terms, DenseTerms):
        return _dense(instance, instance.terms)
    return _structured(instance, instance.terms)


def by_distance(instance: Instance, cost: Sheet) -> Sheet:
    """The sheet whose figure is the RTT [ms], from the one by cost; any unit is worth it."""
    if isinstance(instance.terms, DenseTerms):
        raise TypeError("a dense instance has no distances")
    order = np.argsort(instance.terms.rtt_ms, axis=1, kind="stable")
    nothing, first = (frozen(np.zeros(instance.rows), kind) for kind in (float, np.int32))
    return cost._replace(
        scale=frozen(np.ones(instance.rows), float),
        egress=nothing,
        state=nothing,
        worth=frozen(np.full(instance.rows, np.inf), float),
        price_of=cost.origin,
        zone=first,
        home_zone=first,
        menu=cost.origin,
        price=frozen(instance.terms.rtt_ms, float),
        toll=frozen(np.zeros((1, 1)), float),
        order=frozen(order, np.int32),
        start=_whole(order),
        work_of_menu=frozen(np.full(len(order), len(cost.service)), np.int32),
        move_usd=0.0,
    )


def _structured(instance: Instance, terms: Terms) -> Sheet:
    """Tables per class, folded once; a menu per workload."""
    policy = instance.policy
    usd_per_kg = policy.carbon_price_usd_per_t / 1e3
    usd_per_kwh = (terms.price_usd_per_mwh + usd_per_kg * terms.carbon_g_per_kwh) / 1e3
    price = terms.energy_factor * (terms.pue * usd_per_kwh)
    rtt = terms.rtt_ms * (1 + policy.latency_margin)
    energy, workload = frozen(terms.energy_kwh, float), frozen(terms.workload, np.int32)
    resources, zones = len(instance.resources), len(terms.transfer)
    order = np.lexsort((price, np.broadcast_to(terms.region_zone, price.shape)), axis=1)
    start = np.searchsorted(np.sort(terms.region_zone), np.arange(zones + 1))
    return Sheet(
        use=frozen(instance.use, float),
        energy=energy,
        scale=energy,
        egress=frozen(terms.egress_gb, float),
        state=frozen(terms.state_gb, float),
        budget=frozen(terms.latency_budget_ms, float),
        worth=frozen(instance.unplaced, float),
        home=frozen(instance.current, np.int32),
        origin=frozen(terms.origin, np.int32),
        work=workload,
        price_of=workload,
        factor_of=workload,
        law=frozen(terms.residency, np.int32),
        zone=frozen(terms.origin_zone[terms.origin], np.int32),
        home_zone=frozen(terms.region_zone[np.maximum(instance.current, 0)], np.int32),
        menu=workload,
        price=frozen(price, float),
        toll=frozen(terms.transfer, float),
        kg=frozen(terms.energy_factor * terms.pue * terms.carbon_g_per_kwh / 1e3, float),
        rtt=frozen(np.where(np.isfinite(rtt), rtt, np.nan), float),
        service=frozen(np.where(terms.hosted, terms.service_ms, np.nan), float),
        factor=frozen(np.repeat(terms.use_factor[:, None], resources, axis=1), float),
        legal=frozen(terms.legal, bool),
        order=frozen(order, np.int32),
        start=frozen(np.repeat(start[None], len(order), axis=0), np.int32),
        work_of_menu=frozen(np.arange(len(price)), np.int32),
        rising=True,
        move_usd=policy.move_usd,
    )


def _dense(instance: Instance, terms: DenseTerms) -> Sheet:
    """A row of `price` and `legal` for every row of the instance; no time, energy or transfer."""
    n, m = terms.cost.shape
    each, first = frozen(np.arange(n), np.int32), frozen(np.zeros(n), np.int32)
    nothing, row = frozen(np.zeros(n), float), frozen(np.zeros((1, m)), float)
    order = np.arange(m)[None]
    factor, alike = terms.use_factor, terms.use_factor is None
    if factor is None:
        factor = np.ones((1, m, len(instance.resources)))
    return Sheet(
        use=frozen(instance.use, float),
        energy=nothing,
        scale=frozen(np.ones(n), float),
        egress=nothing,
        state=nothing,
        budget=nothing,
        worth=frozen(instance.unplaced, float),
        home=frozen(instance.current, np.int32),
        origin=first,
        work=first,
        price_of=each,
        factor_of=first if alike else each,
        law=each,
        zone=first,
        home_zone=first,
        menu=first,
        price=frozen(terms.cost, float),
        toll=frozen(np.zeros((1, 1)), float),
        kg=row,
        rtt=row,
        service=row,
        factor=frozen(factor.transpose(0, 2, 1), float),
        legal=frozen(terms.allowed, bool),
        order=frozen(order, np.int32),
        start=_whole(order),
        work_of_menu=frozen(np.zeros(1), np.int32),
        rising=False,
        move_usd=0.0,
    )


def _whole(order: np.ndarray) -> np.ndarray:
    """Starts of menus with a single zone."""
    return frozen(np.broadcast_to([0, order.shape[1]], (len(order), 2)), np.int32)
