"""HiGHS: the relaxation by interior point or simplex, and whole units by branch and cut.

References:
    Huangfu and Hall, Parallelizing the dual revised simplex method, Mathematical Programming
    Computation 10 (2018).
"""

from typing import Any

import numpy as np

from jaxplace.compare.answer import Answer, Task
from jaxplace.compare.model import Model
from jaxplace.compare.settings import Exact, HighsLp, HighsSolver
from jaxplace.errors import JaxplaceError


TIGHT = 1e-9  # feasibility of whole plans: the certificate allows no more


def relaxation(task: Task) -> Answer:
    """The relaxation to fractional units; its duals certify the bound."""
    settings: HighsLp = task.settings
    model = Model.of(task.instance)
    values, duals, usd, done = solve_lp(
        model, settings.solver, crossover=settings.crossover, seed=task.seed, seconds=task.left()
    )
    return Answer(
        fraction=model.fraction(values),
        duals=model.duals(duals),
        claimed_usd=usd,
        claimed_bound_usd=usd if done else None,
        done=done,
        versions=versions(),
    )


def whole(task: Task) -> Answer:
    """Whole units; the bound of the tree is claimed, for no duals certify it."""
    settings: Exact = task.settings
    model = Model.of(task.instance)
    highs = _loaded(model, whole=True, seed=task.seed)
    highs.setOptionValue("mip_rel_gap", settings.mip_gap)
    highs.setOptionValue("mip_feasibility_tolerance", TIGHT)
    highs.setOptionValue("primal_feasibility_tolerance", TIGHT)
    highs.setOptionValue("time_limit", task.left())
    highs.run()
    info, status = highs.getInfo(), highs.modelStatusToString(highs.getModelStatus())
    found = info.primal_solution_status == 2  # feasible
    bound = info.mip_dual_bound * model.usd
    return Answer(
        plan=model.plan(np.array(highs.getSolution().col_value)) if found else None,
        claimed_usd=info.objective_function_value * model.usd if found else None,
        claimed_bound_usd=bound if np.isfinite(bound) else None,
        done=status == "Optimal",
        versions=versions(),
    )


def solve_lp(
    model: Model, solver: HighsSolver, *, crossover: bool, seed: int, seconds: float
) -> tuple[np.ndarray, np.ndarray, float, bool]:
    """Solution [v], multipliers of the limits, objective [USD], whether it is optimal.

    Raises:
        JaxplaceError: HiGHS has no solution to show.
    """
    highs = _loaded(model, whole=False, seed=seed)
    interior = solver is HighsSolver.ipx
    if interior and not _accepted(highs, "solver", "ipx"):
        highs.setOptionValue("solver", "ipm")  # its name before 1.12
    elif not interior:
        highs.setOptionValue("solver", "simplex")
    highs.setOptionValue("run_crossover", "on" if crossover else "off")
    highs.setOptionValue("time_limit", seconds)
    highs.run()
    status = highs.modelStatusToString(highs.getModelStatus())
    found = highs.getSolution()
    if status == "Time limit reached":
        raise TimeoutError("no solution within the time limit")
    if not found.value_valid or not found.dual_valid:
        raise JaxplaceError(f"HiGHS has no solution: {status}")
    duals = -np.array(found.row_dual)[len(model.count) :]
    usd = highs.getInfo().objective_function_value * model.usd
    return np.array(found.col_value), duals, usd, status == "Optimal"


def _accepted(highs: Any, option: str, value: str) -> bool:
    """Whether this version knows the value."""
    import highspy

    return bool(highs.setOptionValue(option, value) == highspy.HighsStatus.kOk)


def _loaded(model: Model, *, whole: bool, seed: int) -> Any:
    """HiGHS with the model in it, silent."""
    import highspy

    matrix, lp, size = model.matrix(), highspy.HighsLp(), len(model.row)
    lp.num_col_, lp.num_row_ = size, matrix.shape[0]
    lp.col_cost_, lp.col_lower_ = model.cost, np.zeros(size)
    lp.col_upper_ = np.full(size, highspy.kHighsInf)
    lp.row_lower_ = np.concatenate([model.count, np.full(len(model.limit), -highspy.kHighsInf)])
    lp.row_upper_ = np.concatenate([model.count, model.limit])
    lp.a_matrix_.format_ = highspy.MatrixFormat.kColwise
    lp.a_matrix_.start_, lp.a_matrix_.index_ = matrix.indptr, matrix.indices
    lp.a_matrix_.value_ = matrix.data
    if whole:
        lp.integrality_ = [highspy.HighsVarType.kInteger] * size
    highs = highspy.Highs()
    highs.setOptionValue("output_flag", False)
    highs.setOptionValue("random_seed", seed % 2**31)
    highs.passModel(lp)
    return highs


def versions() -> dict[str, str]:
    """HiGHS's own."""
    import highspy

    return {"highspy": highspy.Highs().version()}
