"""OR-Tools PDLP: restarted primal-dual hybrid gradients on the relaxation.

References:
    Applegate et al., Practical large-scale linear programming using primal-dual hybrid gradient,
    NeurIPS 2021.
"""

from importlib import metadata

import numpy as np

from jaxplace.compare.answer import Answer, Task
from jaxplace.compare.model import Model
from jaxplace.compare.settings import Pdlp
from jaxplace.native import threads


def relaxation(task: Task) -> Answer:
    """The relaxation to fractional units, to PDLP's tolerance; its duals, cut to be >= 0."""
    from ortools.pdlp import solve_log_pb2, solvers_pb2
    from ortools.pdlp.python import pdlp

    settings: Pdlp = task.settings
    model = Model.of(task.instance)
    program = pdlp.QuadraticProgram()
    size, k = len(model.row), len(model.count)
    program.resize_and_initialize(size, k + len(model.limit))
    program.objective_vector = model.cost
    program.constraint_matrix = model.matrix()
    program.constraint_lower_bounds = np.concatenate(
        [model.count, np.full(len(model.limit), -np.inf)]
    )
    program.constraint_upper_bounds = np.concatenate([model.count, model.limit])
    program.variable_lower_bounds = np.zeros(size)
    program.variable_upper_bounds = np.full(size, np.inf)
    asked = solvers_pb2.PrimalDualHybridGradientParams()
    end = asked.termination_criteria
    end.simple_optimality_criteria.eps_optimal_relative = settings.tolerance
    end.simple_optimality_criteria.eps_optimal_absolute = settings.tolerance
    end.time_sec_limit = task.left()
    asked.num_threads = threads()
    result = pdlp.primal_dual_hybrid_gradient(program, asked)
    reason = result.solve_log.termination_reason
    stats = result.solve_log.solution_stats.convergence_information
    reported = stats[0] if len(stats) else None
    done = reason == solve_log_pb2.TERMINATION_REASON_OPTIMAL
    return Answer(
        fraction=model.fraction(np.array(result.primal_solution)),
        duals=model.duals(-np.array(result.dual_solution)[k:]),
        claimed_usd=reported.primal_objective * model.usd if reported else None,
        claimed_bound_usd=reported.dual_objective * model.usd if reported and done else None,
        done=done,
        versions={"ortools": metadata.version("ortools")},
    )
