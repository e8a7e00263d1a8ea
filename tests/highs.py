"""The exact optimum of a small instance by HiGHS, from the numbers of `jaxplace.evaluate`."""

import numpy as np
from scipy import sparse
from scipy.optimize import Bounds, LinearConstraint, OptimizeResult, linprog, milp

from jaxplace import evaluate
from jaxplace.instance import NOWHERE, Instance
from jaxplace.placement import Assignment, Duals


MIP_GAP = 1e-3  # proving the last digits takes minutes on some seeds


def lp_optimum(instance: Instance) -> float:
    """Least objective of the relaxation to fractional units [USD], unservable ones included."""
    return float(_solve(instance, whole=False).fun)


def mip_optimum(instance: Instance) -> float:
    """HiGHS's bound on the least objective of whole units, at most `MIP_GAP` below it [USD]."""
    return float(_solve(instance, whole=True).mip_dual_bound)


def mip_assignment(instance: Instance) -> Assignment:
    """A plan of whole units, at most `MIP_GAP` above the best."""
    row, region, _ = _variables(instance)
    count = np.rint(_solve(instance, whole=True).x).astype(np.int64)
    order = np.lexsort((region, row))
    order = order[count[order] > 0]
    return Assignment(row[order], region[order].astype(np.int32), count[order])


def lp_duals(instance: Instance) -> Duals:
    """Duals whose bound is the relaxation's optimum."""
    found = _duals(instance)
    m, resources = instance.capacity.shape
    policy = instance.policy
    budgets = list(np.maximum(found[m * resources :], 0.0))
    return Duals(
        capacity=np.maximum(found[: m * resources], 0.0).reshape(m, resources),
        moves=float(budgets.pop(0)) if policy.max_moves is not None else 0.0,
        carbon=float(budgets.pop(0)) if policy.carbon_cap_kg is not None else 0.0,
    )


def _duals(instance: Instance) -> np.ndarray:
    """Prices of the limits, in the order of `_limits`."""
    row, _, cost = _variables(instance)
    taken, limit = _limits(instance)
    found = linprog(
        cost,
        A_ub=taken,
        b_ub=limit,
        A_eq=_rows(instance, row),
        b_eq=instance.count,
        method="highs",
    )
    assert found.status == 0, found.message
    return -found.ineqlin.marginals


def _solve(instance: Instance, *, whole: bool) -> OptimizeResult:
    row, _, cost = _variables(instance)
    taken, limit = _limits(instance)
    found = milp(
        cost,
        integrality=np.full(len(cost), int(whole)),
        bounds=Bounds(0, np.inf),
        constraints=[
            LinearConstraint(_rows(instance, row), instance.count, instance.count),
            LinearConstraint(taken, -np.inf, limit),
        ],
        options={"mip_rel_gap": MIP_GAP},
    )
    assert found.status == 0, found.message
    return found


def _variables(instance: Instance) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Row, region and cost of every variable: the allowed pairs, then a unit left unplaced."""
    everything = np.arange(instance.rows)
    row, region = np.nonzero(evaluate.allowed(instance, everything))
    cost = sum(evaluate.parts(instance, row, region).cost.values())
    nowhere = np.full(instance.rows, NOWHERE)
    return (
        np.concatenate([row, everything]),
        np.concatenate([region, nowhere]),
        np.concatenate([cost, instance.unplaced]),
    )


def _rows(instance: Instance, row: np.ndarray) -> sparse.csr_array:
    """[n, variables] of the equations that every unit is somewhere."""
    ones = np.ones(len(row))
    return sparse.csr_array((ones, (row, np.arange(len(row)))), (instance.rows, len(row)))


def _limits(instance: Instance) -> tuple[sparse.csr_array, np.ndarray]:
    """What a unit takes of every limit [limits, variables]: capacities, then the budgets set."""
    row, region, _ = _variables(instance)
    placed = np.nonzero(region >= 0)[0]
    i, j = row[placed], region[placed]
    part, policy = evaluate.parts(instance, i, j), instance.policy
    resources = len(instance.resources)
    entries, limits = [], list(instance.capacity.ravel())
    for r in range(resources):
        entries.append((evaluate.use(instance, r, i, j), j * resources + r))
    for takes, limit in ((part.move, policy.max_moves), (part.kg, policy.carbon_cap_kg)):
        if limit is not None:
            entries.append((takes.astype(float), np.full(len(j), len(limits))))
            limits.append(limit)
    values, index = (np.concatenate(x) for x in zip(*entries, strict=True))
    columns = np.tile(placed, len(entries))
    shape = (len(limits), len(row))
    return sparse.csr_array((values, (index, columns)), shape), np.array(limits)
