"""Where a solve may begin: the duals of an earlier plan, carried over to another hour's prices.

At the optimum a row sees a region's unit cost and its dual as one sum.  Where only the cost moved,
the dual that moves against it leaves the sum, and with it the plan, as it was; so the translated
duals are near the new optimum where the old ones are far from it.
"""

from dataclasses import dataclass

import numpy as np

from jaxplace.instance import Instance, Terms
from jaxplace.placement import Duals, Placement


@dataclass(frozen=True)
class Start:
    """Duals, and what they were right for.  m regions, R resources.

    Attributes:
        region_id: [m] ids.
        resources: R names.
        duals: [m, R] capacity duals, and the budgets'.
        usd_per_kwh: [m] electricity and priced carbon of one facility kWh; NaN where unknown.
        kwh: [m] facility energy of the plan [kWh].
        load: [m, R] use of the plan.
        capacity: [m, R] after headroom.
    """

    region_id: np.ndarray
    resources: tuple[str, ...]
    duals: Duals
    usd_per_kwh: np.ndarray
    kwh: np.ndarray
    load: np.ndarray
    capacity: np.ndarray

    @classmethod
    def of(cls, placement: Placement) -> "Start":
        """The start that an earlier placement gives."""
        instance, proof = placement.instance, placement.certificate
        return cls(
            region_id=np.asarray(instance.region_id),
            resources=instance.resources,
            duals=placement.duals,
            usd_per_kwh=usd_per_kwh(instance),
            kwh=proof.region_kwh,
            load=proof.load,
            capacity=instance.capacity,
        )

    def duals_for(self, instance: Instance) -> Duals:
        """Duals near those of an instance: lambda_j <- max(0, lambda_j - change of unit cost).

        Regions and resources are matched by name; what is new starts with 0.
        """
        moved = self._translated(instance)
        there = {name: j for j, name in enumerate(np.asarray(self.region_id).tolist())}
        found = np.array([there.get(name, -1) for name in np.asarray(instance.region_id).tolist()])
        capacity = np.zeros(instance.capacity.shape)
        for r, name in enumerate(instance.resources):
            if name in self.resources:
                column = moved[:, self.resources.index(name)]
                capacity[:, r] = np.where(found >= 0, column[found], 0.0)
        return Duals(capacity, self.duals.moves, self.duals.carbon)

    def _translated(self, instance: Instance) -> np.ndarray:
        """[m, R] the capacity duals at the instance's prices, in this start's order."""
        old = self.duals.capacity
        now = dict(
            zip(
                np.asarray(instance.region_id).tolist(),
                usd_per_kwh(instance).tolist(),
                strict=True,
            )
        )
        here = np.array([now.get(name, np.nan) for name in np.asarray(self.region_id).tolist()])
        change = np.nan_to_num(here - self.usd_per_kwh)
        if not change.any():
            return old
        # what a unit of use costs more: by the energy of the region's own load, else the fleet's
        fleet = self.kwh.sum() / np.maximum(self.load.sum(0), 1e-300)
        with np.errstate(divide="ignore", invalid="ignore"):
            own = self.kwh[:, None] / self.load
            worth = old * self.load
            share = worth / worth.sum(1, keepdims=True)
            fullest = np.nan_to_num(self.load / self.capacity).argmax(1)
        per_use = np.where(self.load > 0, own, fleet) * change[:, None]
        one = np.eye(old.shape[1])[fullest]  # a dual may rise from 0: of the scarcest resource
        share = np.where(worth.sum(1, keepdims=True) > 0, share, one)
        return np.maximum(old - share * per_use, 0.0)


def usd_per_kwh(instance: Instance) -> np.ndarray:
    """[m] electricity and priced carbon of one facility kWh [USD]; NaN for a dense instance."""
    terms, policy = instance.terms, instance.policy
    if not isinstance(terms, Terms):
        return np.full(instance.regions, np.nan)
    carbon = terms.carbon_g_per_kwh * policy.carbon_price_usd_per_t / 1e3
    return (terms.price_usd_per_mwh + carbon) / 1e3
