"""Whether a plan keeps every rule: one sentence per kind of violation."""

import numpy as np

from jaxplace import evaluate
from jaxplace.evaluate import BLOCK_FLOWS, Totals
from jaxplace.instance import NOWHERE, Instance
from jaxplace.placement import Assignment


ABSOLUTE_TOL = 1e-9  # use a load may exceed a capacity by, where the capacity is near 0


def flow_faults(instance: Instance, assignment: Assignment) -> tuple[list[str], np.ndarray]:
    """Faults of the flows one by one, and bool [f], which flows name an existing pair."""
    row, region, count = assignment.row, assignment.region, assignment.count
    faults = []
    known_row = (row >= 0) & (row < instance.rows)
    known_region = (region >= NOWHERE) & (region < instance.regions)
    if not known_row.all():
        faults.append(_say(~known_row, row, f"name a row outside [0, {instance.rows})"))
    if not known_region.all():
        rule = f"name a region outside [{NOWHERE}, {instance.regions})"
        faults.append(_say(~known_region, region, rule))
    if (count <= 0).any():
        faults.append(_say(count <= 0, count, "have a count that is not positive"))
    known = known_row & known_region
    key = row[known].astype(np.int64) * (instance.regions + 1) + region[known]
    if (np.diff(key) <= 0).any():
        faults.append("flows must be sorted by row, then region, each pair once. They are not")
    return faults, known


def plan_faults(
    instance: Instance, assignment: Assignment, totals: Totals, tolerance: float
) -> list[str]:
    """Faults of the plan as a whole; its flows name existing rows and regions."""
    faults = []
    units = np.bincount(assignment.row, assignment.count, instance.rows)
    wrong = units != instance.count
    if wrong.any():
        i = int(np.argmax(wrong))
        faults.append(
            f"{wrong.sum()} rows whose units do not sum to their count, first row {i}: "
            f"{int(units[i])} of {instance.count[i]}"
        )
    forbidden = _forbidden(instance, assignment)
    if forbidden:
        faults.append(f"{forbidden} units run at a region that is not allowed")
    limit = instance.capacity * (1 + tolerance) + ABSOLUTE_TOL
    over = totals.load > limit
    if over.any():
        j, r = np.unravel_index(np.argmax(totals.load - limit), over.shape)
        faults.append(
            f"{over.sum()} capacities exceeded, most at region {instance.region_id[j]!r}, "
            f"{instance.resources[r]}: load {totals.load[j, r]} of {instance.capacity[j, r]}"
        )
    policy = instance.policy
    if policy.max_moves is not None and totals.moves > policy.max_moves:
        faults.append(f"{totals.moves} units move, `max_moves` is {policy.max_moves}")
    cap = policy.carbon_cap_kg
    if cap is not None and totals.carbon_kg > cap * (1 + tolerance):
        faults.append(f"{totals.carbon_kg} kg of carbon, `carbon_cap_kg` is {cap}")
    return faults


def _forbidden(instance: Instance, assignment: Assignment) -> int:
    """Units at a region that is not allowed."""
    placed, units = assignment.region >= 0, 0
    row, region, count = (x[placed] for x in (assignment.row, assignment.region, assignment.count))
    for start in range(0, len(row), BLOCK_FLOWS):
        some = slice(start, start + BLOCK_FLOWS)
        ok = evaluate.allowed(instance, row[some], region[some])
        units += int(count[some][~ok].sum())
    return units


def _say(wrong: np.ndarray, values: np.ndarray, rule: str) -> str:
    """How many flows break the rule, and the first of them."""
    first = int(np.argmax(wrong))
    return f"{wrong.sum()} flows {rule}, first flow {first}: {values[first]}"
