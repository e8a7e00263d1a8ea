"""OR-Tools CP-SAT: whole units by lazy clause generation, on an integer grid."""

from importlib import metadata
from typing import Any

import numpy as np

from jaxplace.compare.answer import Answer, Task
from jaxplace.compare.model import Model
from jaxplace.compare.settings import CpSat
from jaxplace.native import threads


def whole(task: Task) -> Answer:
    """Whole units.  Costs are rounded down and uses up, so that what fits here fits there."""
    import pandas as pd
    from ortools.sat.python import cp_model

    settings: CpSat = task.settings
    model = Model.of(task.instance, scaled=False)
    cost, fine = grid(model.cost, settings.steps)
    program = cp_model.CpModel()
    most = pd.Series(model.count.astype(np.int64)[model.row])
    x = program.new_int_var_series("x", most.index, lower_bounds=0, upper_bounds=most)
    units = x.to_numpy()
    for i in range(len(model.count)):
        here = units[model.start[i] : model.start[i + 1]]
        program.add(cp_model.LinearExpr.sum(here.tolist()) == int(model.count[i]))
    rows = model.entries.tocsr()
    for k, limit in enumerate(model.limit):
        at = slice(rows.indptr[k], rows.indptr[k + 1])
        use, step = grid(rows.data[at], settings.steps, up=True)
        room = int(np.floor(limit * step * (1 + 1e-12)))
        if len(use):
            taken = cp_model.LinearExpr.weighted_sum(units[rows.indices[at]].tolist(), use.tolist())
            program.add(taken <= room)
    program.minimize(cp_model.LinearExpr.weighted_sum(units.tolist(), cost.tolist()))
    solver = cp_model.CpSolver()
    solver.parameters.max_time_in_seconds = task.left()
    solver.parameters.relative_gap_limit = settings.mip_gap
    solver.parameters.num_workers = max(threads(), 1)
    solver.parameters.random_seed = task.seed % 2**31
    callback, seen = _watch(task, fine)
    status = solver.solve(program, callback)
    found = status in (cp_model.OPTIMAL, cp_model.FEASIBLE)
    bound = solver.best_objective_bound / fine
    values = np.array([solver.value(v) for v in units]) if found else None
    return Answer(
        plan=None if values is None else model.plan(values),
        claimed_usd=float(model.cost @ values) if values is not None else None,
        claimed_bound_usd=bound if np.isfinite(bound) and status != cp_model.UNKNOWN else None,
        done=status == cp_model.OPTIMAL,
        trace=tuple(seen),
        versions={"ortools": metadata.version("ortools")},
    )


def grid(values: np.ndarray, steps: int, *, up: bool = False) -> tuple[np.ndarray, float]:
    """Integers and their scale: the values themselves where they are whole, else rounded.

    Args:
        values: finite numbers.
        steps: what the largest becomes.
        up: whether to round up rather than down.
    """
    if not len(values):
        return values.astype(np.int64), 1.0
    if (values == np.rint(values)).all() and np.abs(values).max() < 2**40:
        return values.astype(np.int64), 1.0
    scale = steps / float(np.abs(values).max())
    turned = np.ceil(values * scale) if up else np.floor(values * scale)
    return turned.astype(np.int64), scale


def _watch(task: Task, fine: float) -> tuple[Any, list[tuple[float, float | None, float | None]]]:
    """A callback, and the plans that it notes as CP-SAT finds them."""
    from ortools.sat.python import cp_model

    seen: list[tuple[float, float | None, float | None]] = []

    class Callback(cp_model.CpSolverSolutionCallback):
        def on_solution_callback(self) -> None:
            bound = self.best_objective_bound / fine
            seen.append((task.spent(), self.objective_value / fine, bound))

    return Callback(), seen
