"""Whole units where rows see the same costs."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from cores import KINDS
from instances import random_instance

from jaxplace import load_scenario, pipeline
from jaxplace.certify import certify
from jaxplace.generate import GenerateSettings, generate
from jaxplace.instance import Instance
from jaxplace.placement import Duals
from jaxplace.problem import compile_instance
from jaxplace.relax.anneal import begin
from jaxplace.rounding import alike, drawn_plans
from jaxplace.settings import Settings


pytestmark = pytest.mark.usefixtures("x64")

FREE: dict[str, Callable[[int], Instance]] = {
    name: kind
    for name, kind in KINDS.items()
    if not np.isfinite(compile_instance(kind(0)).problem.budgets).any()
}


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("kind", FREE)
def test_a_drawn_plan_keeps_every_rule(kind, seed):
    """All units are in it, no region is overloaded, and it costs what it says."""
    instance = FREE[kind](seed)
    compiled = compile_instance(instance)
    hot = replace(begin(compiled.problem), temperature=1.0)
    plan, cost = next(drawn_plans(compiled, hot, seed))
    found = certify(instance, plan, Duals(np.zeros(instance.capacity.shape)))
    assert found.feasible, found.violations
    assert found.objective_usd == pytest.approx(cost, rel=1e-9, abs=1e-12)
    np.testing.assert_array_equal(np.bincount(plan.row, plan.count, instance.rows), instance.count)


@pytest.mark.parametrize("tightness", [1.3, 0.95])
def test_rows_that_see_the_same_costs_are_drawn(tightness, monkeypatch, tmp_path):
    """Hundreds of regions are as good as each other for most rows: no core could list them.

    Where not all fit, the smallest rows, which come last, are worth most for what they take.
    """
    settings = GenerateSettings(
        requests=30_000, regions=200, seed=7, hours=1, minimal=True, tightness=tightness
    )
    scenario = load_scenario(generate(settings, tmp_path / "minimal"))
    called: list[tuple] = []
    monkeypatch.setattr(pipeline, "round_plan", lambda *a, **k: called.append(a))
    found = pipeline.solve(scenario.at(scenario.hours[0]), Settings())
    assert found.certificate.gap <= 1e-3
    assert found.certificate.objective_usd < found.baselines["greedy"]["objective_usd"]
    assert not called


def test_budgets_and_preferences_are_left_to_the_core():
    """What is drawn knows no fleet budget; and rows with a preference of their own need none."""
    for features in ({"max_moves"}, {"moves", "egress", "latency"}):
        compiled = compile_instance(random_instance(1, features=features))
        cold = replace(begin(compiled.problem), temperature=1e-4)
        assert not alike(compiled, cold)
