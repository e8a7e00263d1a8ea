"""Cores of undecided rows to round and repair, without a solve before."""

from dataclasses import replace

from jaxplace.instance import Instance
from jaxplace.problem import compile_instance
from jaxplace.relax import choose
from jaxplace.relax.anneal import begin
from jaxplace.rounding import Rounded, round_plan
from jaxplace.settings import SolverSettings


HOT = 1.0  # of the problem's cost scale


def rounded_at_zero(instance: Instance, *, seed: int = 0, candidates: int = 64) -> Rounded:
    """The plan of duals 0 at a hot temperature: mostly overloaded."""
    compiled = compile_instance(instance)
    problem = compiled.problem
    ascent = choose(SolverSettings(), duals=problem.limit.size)
    hot = replace(begin(problem), temperature=HOT)
    return round_plan(compiled, hot, ascent, candidates=candidates, seed=seed)
