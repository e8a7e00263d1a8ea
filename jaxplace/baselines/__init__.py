"""What simple rules would do with the same requests: the plans that a solve is compared with.

Three rules, each first come, first served: the instance's rows take turns in their order, and a
row in its turn takes its best region with room, as many units as fit, then the next best.

* nearest: every unit at the nearest allowed region (by RTT) that still has room;
* greedy: every unit at its cheapest allowed region that still has room, unless leaving it out
  is cheaper;
* stay: units keep running where they run now, as far as that is allowed and has room; the rest
  (new units, and those that no longer fit) then go the greedy way.

All of them keep capacities and fleet budgets, so each is a feasible plan.
"""

from concurrent.futures import ThreadPoolExecutor

from jaxplace import evaluate
from jaxplace.baselines import service
from jaxplace.baselines.sheet import Sheet, by_cost, by_distance
from jaxplace.instance import DenseTerms, Instance
from jaxplace.placement import Assignment


__all__ = ["baseline_assignments", "baselines"]


def baselines(
    instance: Instance, assignments: dict[str, Assignment] | None = None
) -> dict[str, dict[str, float]]:
    """Figures of each rule's plan: objective_usd, kwh, carbon_kg, unplaced, moves.

    Args:
        instance: what is asked.
        assignments: the plans of `baseline_assignments`, if they are at hand.
    """
    if assignments is None:
        assignments = baseline_assignments(instance)
    with ThreadPoolExecutor(len(assignments)) as pool:
        totals = pool.map(lambda plan: evaluate.totals(instance, plan), assignments.values())
        return {
            name: {
                "objective_usd": sums.objective_usd,
                "kwh": sums.kwh,
                "carbon_kg": sums.carbon_kg,
                "unplaced": float(sums.unplaced),
                "moves": float(sums.moves),
            }
            for name, sums in zip(assignments, totals, strict=True)
        }


def baseline_assignments(instance: Instance) -> dict[str, Assignment]:
    """The plan of each rule, by name; deterministic.

    "nearest" is left out for a dense instance, which has no distances, and "stay" where nothing
    runs yet.
    """
    cost = by_cost(instance)
    rules: dict[str, tuple[Sheet, bool]] = {"greedy": (cost, False)}
    if not isinstance(instance.terms, DenseTerms):
        rules["nearest"] = (by_distance(instance, cost), False)
    if (instance.current >= 0).any():
        rules["stay"] = (cost, True)
    # rows of one rule take turns, so it is the rules that run side by side
    with ThreadPoolExecutor(len(rules)) as pool:
        plans = {
            name: pool.submit(service.serve, instance, sheet, stay=stay)
            for name, (sheet, stay) in sorted(rules.items())
        }
        return {name: plan.result() for name, plan in plans.items()}
