"""The Lagrangian lower bound of CONTRACT section 1, less what float64 rounding can have added."""

import math
from typing import NamedTuple

import numpy as np

from jaxplace.certify import numpy_bound
from jaxplace.instance import Instance, Terms
from jaxplace.placement import Duals


NUMPY_PAIRS = 20_000_000  # up to here NumPy takes less than compiling the loop does


class Bound(NamedTuple):
    """What the duals prove.

    Attributes:
        servable_usd: bound on the units that some region allows, less `rounding_usd`.
        rounding_usd: allowance [USD] for the rounding errors of computing the bound, >= 0.
        servable: [n] bool, whether any region is allowed.
        unservable: units that no region allows; unservable_usd: their penalty [USD].
        allowed_pairs: pairs of row and region that the rules allow.
    """

    servable_usd: float
    rounding_usd: float
    servable: np.ndarray
    unservable: int
    unservable_usd: float
    allowed_pairs: int

    @property
    def lower_bound_usd(self) -> float:
        """Bound on every plan's objective, the unservable units' penalty included [USD]."""
        return self.servable_usd + self.unservable_usd


def lower_bound(instance: Instance, duals: Duals) -> Bound:
    """No plan, integer or not, costs less than the `lower_bound_usd` returned.

    Raises:
        ValueError: duals of the wrong shape, negative, not finite, or of a limit that the
            policy does not set; a defect of the caller, for then nothing would be proven.
    """
    _check(instance, duals)
    large = instance.rows * instance.regions > NUMPY_PAIRS and isinstance(instance.terms, Terms)
    if large:
        from jaxplace.certify import native_bound  # small instances need not start Numba

        best, pairs = native_bound.cheapest(instance, duals)
    else:
        best, pairs = numpy_bound.cheapest(instance, duals)
    servable = np.isfinite(best)
    count = instance.count.astype(np.float64)
    units_usd = np.where(servable, count * np.minimum(best, instance.unplaced), 0.0)
    limits = _limits(instance, duals)
    rounding = _rounding(instance, duals, np.abs(units_usd), limits)
    penalty = count[~servable] * instance.unplaced[~servable]
    return Bound(
        servable_usd=math.fsum([units_usd.sum(), *(-limits), -rounding]),
        rounding_usd=rounding,
        servable=servable,
        unservable=int(instance.count[~servable].sum()),
        unservable_usd=float(penalty.sum()),
        allowed_pairs=pairs,
    )


def _limits(instance: Instance, duals: Duals) -> np.ndarray:
    """What the limits are worth at the duals [USD]: all capacity, then each budget."""
    policy = instance.policy
    return np.array(
        [
            (instance.capacity * duals.capacity).sum(),
            duals.moves * (policy.max_moves or 0.0),
            duals.carbon * (policy.carbon_cap_kg or 0.0),
        ]
    )


def _rounding(instance: Instance, duals: Duals, units_usd: np.ndarray, limits: np.ndarray) -> float:
    """Bound on the rounding error of the sum, from the magnitudes of what was added [USD].

    A pair's reduced cost c = P - N (sums of its positive and of its negative terms) is computed
    to within k eps (P + N) = k eps (c + 2 N).  So the least of a row errs by at most k eps
    (|best| + 2 max N), and only prices, or a dense cost, can be negative.  k counts the
    operations: about 20 + 2 R in a pair, below 40 in NumPy's pairwise sums (Higham, Accuracy
    and Stability of Numerical Algorithms, 2nd ed., sections 4.2 and 3.1).
    """
    terms, count = instance.terms, instance.count
    if isinstance(terms, Terms):
        refund = np.maximum(-terms.price_usd_per_mwh, 0.0) * terms.pue / 1e3
        negative = (count * terms.energy_kwh).sum() * (terms.energy_factor * refund).max()
    else:
        negative = (count * np.maximum(-terms.cost.min(axis=1, initial=0.0), 0.0)).sum()
    operations = 64 + 4 * len(instance.resources)
    magnitude = units_usd.sum() + 2 * negative + np.abs(limits).sum()
    return float(operations * np.finfo(np.float64).eps * magnitude)


def _check(instance: Instance, duals: Duals) -> None:
    """Refuse duals that prove nothing."""
    if np.shape(duals.capacity) != instance.capacity.shape:
        raise ValueError(
            f"`duals.capacity` must have shape [m, R] = {instance.capacity.shape}. "
            f"Got {np.shape(duals.capacity)}"
        )
    budgets = np.array([duals.moves, duals.carbon])
    for name, values in (("capacity", duals.capacity), ("moves, carbon", budgets)):
        if not (np.isfinite(values).all() and (values >= 0).all()):
            worst = values[~(np.isfinite(values) & (values >= 0))].flat[0]
            raise ValueError(f"`duals.{name}` must be finite and >= 0. Got {worst}")
    for name, dual, limit in (
        ("moves", duals.moves, instance.policy.max_moves),
        ("carbon", duals.carbon, instance.policy.carbon_cap_kg),
    ):
        if dual > 0 and limit is None:
            raise ValueError(f"`duals.{name}` must be 0 where the policy has no limit. Got {dual}")
