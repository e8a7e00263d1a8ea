"""Fleet budgets that cannot be kept while every unit that could run runs: what the least would be.

A plan can always keep a budget by leaving units out, so a budget is never broken.  But an operator
who caps moves or carbon wants it kept by running units elsewhere.  Where units are left out and a
budget is used up, a second question is asked: how little of the budget would do?
"""

from dataclasses import dataclass, replace

from jaxplace.instance import Instance, Policy, Terms
from jaxplace.placement import Certificate


USED_UP = 0.99  # of a budget, from which units may be left out for its sake
DEAR = 4.0  # penalty of a unit left out, in units of the most that one can take of the budget
UNITS = {"max_moves": "moves", "carbon_cap_kg": "kg"}


@dataclass(frozen=True)
class Question:
    """How little of one budget would do.

    Attributes:
        name: the budget's key in the policy.
        limit: what it is.
        instance: the same units, priced by what they take of the budget alone.
        penalty: of a unit left out, in the budget's unit.
    """

    name: str
    limit: float
    instance: Instance
    penalty: float

    def least(self, proof: Certificate) -> float:
        """What any plan takes that leaves no more units out than the one of the certificate."""
        return proof.lower_bound_usd - self.penalty * proof.unplaced

    def note(self, proof: Certificate, left_out: int) -> str:
        """What to tell.

        Args:
            proof: the certificate of the question's plan.
            left_out: units that the budget keeps from running.
        """
        unit = UNITS[self.name]
        taken = proof.objective_usd - self.penalty * proof.unplaced
        return (
            f"`policy.{self.name}={self.limit:g}` cannot be kept with every unit running that "
            f"could: that takes at least {max(self.least(proof), 0.0):,.6g} {unit}, and a plan "
            f"with {taken:,.6g} {unit} was found. {left_out:,} units are left out to keep it"
        )


def questions(instance: Instance, proof: Certificate) -> list[Question]:
    """The budgets that are used up while units that could run are left out."""
    policy, found = instance.policy, []
    if not isinstance(instance.terms, Terms) or proof.unplaced <= proof.unservable:
        return []
    for name, used in (("max_moves", proof.moves), ("carbon_cap_kg", proof.carbon_kg)):
        limit = getattr(policy, name)
        if limit is None:
            continue
        # where single units are large beside the budget, it is used up before the last percent
        if used >= USED_UP * limit or limit - used < _most(instance.terms, name):
            found.append(_question(instance, name, limit))
    return found


def _most(terms: Terms, name: str) -> float:
    """The most that one unit may take of a budget."""
    if name == "max_moves":
        return 1.0
    kwh = terms.energy_kwh.max(initial=0.0) * (terms.energy_factor * terms.pue).max(initial=0.0)
    return float(kwh * terms.carbon_g_per_kwh.max() / 1e3)


def _question(instance: Instance, name: str, limit: float) -> Question:
    """The instance whose objective is one budget."""
    terms, none = instance.terms, 0 * instance.unplaced
    assert isinstance(terms, Terms)
    bare = replace(
        terms,
        price_usd_per_mwh=0 * terms.price_usd_per_mwh,
        egress_gb=none,
        state_gb=none,
    )
    penalty = DEAR * (_most(terms, name) or 1.0)
    policy = Policy(
        carbon_price_usd_per_t=0.0 if name == "max_moves" else 1e3,
        carbon_column=instance.policy.carbon_column,
        latency_margin=instance.policy.latency_margin,
        headroom=instance.policy.headroom,
        move_usd=1.0 if name == "max_moves" else 0.0,
    )
    priced = replace(instance, terms=bare, policy=policy, unplaced=none + penalty)
    return Question(name, float(limit), priced, penalty)
