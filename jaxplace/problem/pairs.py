"""Cost and use of chosen (row, region) pairs in float64, on the host, for rounding and repair.

The kernels decide in float32 where a row may want to go; what the plan then costs, and whether a
unit still fits, is decided with these numbers.  The certificate has its own evaluation.
"""

from dataclasses import dataclass

import numpy as np

from jaxplace.instance import DenseTerms, Instance, Terms


@dataclass(frozen=True)
class Pairs:
    """Float64 values of pairs, from tables that are folded once per instance."""

    instance: Instance
    energy_usd: np.ndarray | None  # [k, m] USD per kWh of IT energy, carbon priced in
    carbon_kg: np.ndarray | None  # [k, m] kg per kWh of IT energy

    @classmethod
    def of(cls, instance: Instance) -> "Pairs":
        """Fold the instance's region tables."""
        terms = instance.terms
        if isinstance(terms, DenseTerms):
            return cls(instance, None, None)
        facility = terms.energy_factor * terms.pue
        carbon_price = instance.policy.carbon_price_usd_per_t
        usd = terms.price_usd_per_mwh / 1e3 + terms.carbon_g_per_kwh * carbon_price / 1e6
        return cls(instance, facility * usd, facility * terms.carbon_g_per_kwh / 1e3)

    def cost(self, row: np.ndarray, region: np.ndarray) -> np.ndarray:
        """Cost of one unit at each pair [USD]; `row` and `region` broadcast."""
        terms, policy = self.instance.terms, self.instance.policy
        if isinstance(terms, DenseTerms):
            return terms.cost[row, region]
        total = terms.energy_kwh[row] * self.energy_usd[terms.workload[row], region]
        zone = terms.region_zone[region]
        total = (
            total
            + terms.egress_gb[row] * terms.transfer[terms.origin_zone[terms.origin[row]], zone]
        )
        home = self.instance.current[row]
        state = terms.state_gb[row] * terms.transfer[terms.region_zone[home], zone]
        return total + np.where((home >= 0) & (home != region), policy.move_usd + state, 0.0)

    def use(self, row: np.ndarray, region: np.ndarray) -> np.ndarray:
        """Use of one unit at each pair, [..., R]."""
        terms, use = self.instance.terms, self.instance.use
        if isinstance(terms, DenseTerms):
            return use[row] if terms.use_factor is None else terms.use_factor[row, region]
        return use[row] * terms.use_factor[terms.workload[row], region][..., None]

    def budget_use(self, row: np.ndarray, region: np.ndarray) -> np.ndarray:
        """What one unit takes of the fleet budgets, [..., 2]: moves and kg."""
        home = self.instance.current[row]
        move = ((home >= 0) & (home != region)).astype(float)
        if isinstance(self.instance.terms, Terms):
            terms = self.instance.terms
            kg = terms.energy_kwh[row] * self.carbon_kg[terms.workload[row], region]
        else:
            kg = np.zeros(move.shape)
        return np.stack(np.broadcast_arrays(move, kg), axis=-1)

    def allowed(self, row: np.ndarray, region: np.ndarray) -> np.ndarray:
        """Whether the rules let a row run at a region."""
        terms, instance = self.instance.terms, self.instance
        if isinstance(terms, DenseTerms):
            return terms.allowed[row, region]
        work = terms.workload[row]
        rtt = terms.rtt_ms[terms.origin[row], region]
        time = rtt * (1 + instance.policy.latency_margin) + terms.service_ms[work, region]
        fits = (self.use(row, region) <= instance.capacity[region]).all(-1)
        near = (time <= terms.latency_budget_ms[row]) & np.isfinite(rtt)
        return near & fits & terms.hosted[work, region] & terms.legal[terms.residency[row], region]
