"""Instances that follow from another one, and how their optimum follows (metamorphic laws)."""

from dataclasses import replace
from typing import Any

import numpy as np

from jaxplace.instance import NOWHERE, DenseTerms, Instance, Terms


REGION_TERMS = ("price_usd_per_mwh", "carbon_g_per_kwh", "pue", "region_zone")
CLASS_TERMS = ("energy_factor", "use_factor", "service_ms", "hosted", "rtt_ms", "legal")


def with_rows(instance: Instance, index: Any) -> Instance:
    """The instance of some rows in that order, each a request of its own."""
    return instance.take(np.asarray(index, np.int64))


def with_regions(instance: Instance, index: Any) -> Instance:
    """The instance with its regions in another order; `index` is a permutation."""
    index = np.asarray(index)
    where = np.append(np.argsort(index), NOWHERE).astype(np.int32)  # old region -> new; -1 -> -1
    terms = instance.terms
    if isinstance(terms, Terms):
        tables = {name: getattr(terms, name)[index] for name in REGION_TERMS}
        tables |= {name: getattr(terms, name)[:, index] for name in CLASS_TERMS}
        terms = replace(terms, **tables)
    else:
        factor = None if terms.use_factor is None else terms.use_factor[:, index]
        terms = DenseTerms(terms.cost[:, index], terms.allowed[:, index], factor)
    return replace(
        instance,
        region_id=instance.region_id[index],
        current=where[instance.current],
        capacity=instance.capacity[index],
        terms=terms,
    )


def with_costs_times(instance: Instance, scale: float) -> Instance:
    """Every cost and penalty times `scale`; the optimum follows."""
    terms, policy = instance.terms, instance.policy
    if isinstance(terms, Terms):
        prices, transfer = terms.price_usd_per_mwh * scale, terms.transfer * scale
        terms = replace(terms, price_usd_per_mwh=prices, transfer=transfer)
    else:
        terms = replace(terms, cost=terms.cost * scale)
    policy = replace(
        policy,
        carbon_price_usd_per_t=policy.carbon_price_usd_per_t * scale,
        move_usd=policy.move_usd * scale,
    )
    return replace(instance, terms=terms, policy=policy, unplaced=instance.unplaced * scale)


def with_uses_times(instance: Instance, scale: float) -> Instance:
    """Every use and capacity times `scale`; the optimum stays."""
    terms = instance.terms
    use = instance.use * scale
    if isinstance(terms, DenseTerms) and terms.use_factor is not None:
        terms, use = replace(terms, use_factor=terms.use_factor * scale), instance.use
    return replace(instance, terms=terms, use=use, capacity=instance.capacity * scale)


def with_row_costs_plus(instance: Instance, row: int, extra: float) -> Instance:
    """A dense instance with `extra` on all options of a row; the optimum rises by it per unit."""
    cost, unplaced = instance.terms.cost.copy(), instance.unplaced.copy()
    cost[row] += extra
    unplaced[row] += extra
    return replace(instance, terms=replace(instance.terms, cost=cost), unplaced=unplaced)


def with_unusable_region(instance: Instance) -> Instance:
    """A dense instance with a cheap region of much capacity that nobody may use."""
    terms, n = instance.terms, instance.rows
    factor = terms.use_factor
    if factor is not None:
        factor = np.concatenate([factor, np.ones_like(factor[:, :1])], 1)
    return replace(
        instance,
        region_id=np.arange(instance.regions + 1),
        capacity=np.vstack([instance.capacity, np.full((1, len(instance.resources)), 1e6)]),
        terms=DenseTerms(
            cost=np.hstack([terms.cost, np.zeros((n, 1))]),
            allowed=np.hstack([terms.allowed, np.zeros((n, 1), bool)]),
            use_factor=factor,
        ),
    )


def with_split_counts(instance: Instance) -> Instance:
    """Every row of c > 1 units as two rows of about c / 2; the optimum stays."""
    half = instance.count // 2
    split = np.nonzero(half)[0]
    both = with_rows(instance, np.r_[np.arange(instance.rows), split])
    count = both.count.copy()
    count[split] -= half[split]
    count[instance.rows :] = half[split]
    return replace(both, count=count)


def with_more_capacity(instance: Instance, region: int, share: float) -> Instance:
    """A region's capacity raised by a share; the optimum does not rise."""
    capacity = instance.capacity.copy()
    capacity[region] *= 1 + share
    return replace(instance, capacity=capacity)
