"""The instance as the kernels see it."""

from jaxplace.problem.compile import Compiled, compile_instance
from jaxplace.problem.pairs import Pairs
from jaxplace.problem.problem import Duals, Problem, Rows, Scaling, Tables


__all__ = ["Compiled", "Duals", "Pairs", "Problem", "Rows", "Scaling", "Tables", "compile_instance"]
