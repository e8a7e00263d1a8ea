"""What is proven about a plan, recomputed in float64 from the instance and the duals alone."""

import numpy as np

from jaxplace import evaluate
from jaxplace.certify.bound import Bound, lower_bound
from jaxplace.certify.feasibility import flow_faults, plan_faults
from jaxplace.instance import Instance
from jaxplace.placement import Assignment, Certificate, Duals


__all__ = ["Bound", "certify", "lower_bound"]

FEASIBILITY_TOL = 1e-9  # share of a capacity or of the carbon cap that a plan may exceed it by


def certify(
    instance: Instance,
    assignment: Assignment,
    duals: Duals,
    *,
    feasibility_tol: float = FEASIBILITY_TOL,
) -> Certificate:
    """Check a plan, price it, and bound what any other plan could save.

    Args:
        instance: what was asked.
        assignment: the plan, as flows of whole units.
        duals: the witness of the bound; any duals >= 0 give a bound, good ones a tight one.
        feasibility_tol: share of a capacity, or of the carbon cap, that rounding may exceed.

    Raises:
        ValueError: duals that prove nothing, or flows that are not integers of one length.
    """
    _check(assignment)
    bound = lower_bound(instance, duals)
    faults, known = flow_faults(instance, assignment)
    if not known.all():  # what names nothing cannot be priced; the plan is infeasible anyway
        assignment = Assignment(
            assignment.row[known], assignment.region[known], assignment.count[known]
        )
    totals = evaluate.totals(instance, assignment)
    faults += plan_faults(instance, assignment, totals, feasibility_tol)
    return Certificate(
        feasible=not faults,
        violations=tuple(faults),
        objective_usd=totals.objective_usd,
        lower_bound_usd=bound.lower_bound_usd,
        unservable_usd=bound.unservable_usd,
        gap=np.inf if faults else _gap(instance, assignment, totals, bound),
        cost=totals.cost,
        units=int(instance.count.sum()),
        placed=totals.placed,
        unplaced=totals.unplaced,
        unservable=bound.unservable,
        moves=totals.moves,
        kwh=totals.kwh,
        carbon_kg=totals.carbon_kg,
        allowed_pairs=bound.allowed_pairs,
        load=totals.load,
        region_units=totals.region_units,
        region_kwh=totals.region_kwh,
        region_carbon_kg=totals.region_carbon_kg,
        region_cost_usd=totals.region_cost_usd,
    )


def _gap(
    instance: Instance, assignment: Assignment, totals: evaluate.Totals, bound: Bound
) -> float:
    """(objective - bound) / |objective| over the servable units, never negative.

    A difference that rounding alone explains counts as 0; an objective of 0 above a lower
    bound is infinitely far from it.
    """
    left = (assignment.region < 0) & bound.servable[assignment.row]
    penalty = (assignment.count * instance.unplaced[assignment.row])[left].sum()
    servable = {**totals.cost, "unplaced_usd": float(penalty)}
    objective = totals._replace(cost=servable).objective_usd
    difference = objective - bound.servable_usd
    if difference <= 2 * bound.rounding_usd:  # the bound is already one allowance too low
        return 0.0
    return float(difference / abs(objective)) if objective else np.inf


def _check(assignment: Assignment) -> None:
    """Refuse what is not a list of flows at all."""
    for name, values in vars(assignment).items():
        if not np.issubdtype(values.dtype, np.integer):
            raise ValueError(f"`assignment.{name}` must be integers. Got {values.dtype}")
        if values.shape != (len(assignment.row),):
            raise ValueError(
                f"`assignment.{name}` must have shape [f] = ({len(assignment.row)},). "
                f"Got {values.shape}"
            )
