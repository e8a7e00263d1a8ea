"""Cores of undecided rows to round and repair, without a solve before."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from instances import FEATURES, dense_instance, random_instance

from jaxplace.certify import certify
from jaxplace.instance import Instance
from jaxplace.placement import Duals
from jaxplace.problem import compile_instance
from jaxplace.relax import choose
from jaxplace.relax.anneal import begin
from jaxplace.rounding import Rounded, plan, round_plan
from jaxplace.settings import SolverSettings


HOT = 1.0  # of the problem's cost scale


def rounded_at_zero(
    instance: Instance,
    *,
    seed: int = 0,
    candidates: int = 64,
    cleared: bool = True,
    deadline: float = np.inf,
) -> Rounded:
    """The plan of duals 0 at a hot temperature; its overloads cleared anyhow, or not yet."""
    compiled = compile_instance(instance)
    problem = compiled.problem
    ascent = choose(SolverSettings(), duals=problem.limit.size)
    hot = replace(begin(problem), temperature=HOT)
    with pytest.MonkeyPatch.context() as patch:
        if not cleared:
            for step in ("clear_overloads", "settle"):
                patch.setattr(plan, step, lambda *_, **__: None)
        return round_plan(
            compiled, hot, ascent, candidates=candidates, seed=seed, deadline=deadline
        )


def _thousands(instance: Instance) -> Instance:
    """Thousands of units a row, in as much more room."""
    count = np.random.default_rng(0).integers(1000, 9000, instance.rows)
    factor = count.sum() / instance.count.sum()
    return replace(instance, count=count, capacity=instance.capacity * factor)


KINDS: dict[str, Callable[[int], Instance]] = {
    "every feature": lambda s: random_instance(s),
    "no feature": lambda s: random_instance(s, features=()),
    "no budget": lambda s: random_instance(s, features=FEATURES - {"max_moves", "carbon_cap"}),
    "max_moves": lambda s: random_instance(s, features={"max_moves", "counts"}),
    "carbon_cap": lambda s: random_instance(s, features={"carbon_cap", "counts", "hosting"}),
    "two resources": lambda s: random_instance(s, features={"two_resources", "counts"}),
    "thousands": lambda s: _thousands(random_instance(s, features={"two_resources"})),
    "too tight": lambda s: random_instance(s, features={"counts"}, tightness=5.0),
    "dense": lambda s: dense_instance(s, n=40, m=8),
    "dense, two resources": lambda s: dense_instance(s, n=40, m=8, resources=2),
}


def objective_if_sound(instance: Instance, rounded: Rounded) -> float:
    """The plan's objective, after the certificate's own check of every rule."""
    duals = Duals(np.zeros(instance.capacity.shape))
    found = certify(instance, rounded.assignment(), duals)
    assert found.feasible, found.violations
    assert found.objective_usd == pytest.approx(rounded.objective(), rel=1e-9, abs=1e-12)
    return found.objective_usd
