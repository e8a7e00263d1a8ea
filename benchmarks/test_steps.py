"""What each step of the method is worth: solves of one scenario with one step at a time left out.

    pytest benchmarks/test_steps.py --benchmark-json=benchmarks/results/NAME.json

In this process, compiled programs warm.  `$JAXPLACE_STEPS` names another scenario than `medium`.
A name below that has gone from its module ends its test: say anew how that step is left out.
"""

import os
import time
from dataclasses import replace

import pytest

from benchmarks.common import digest
from jaxplace import Settings, pipeline, solve
from jaxplace.kernels import api
from jaxplace.relax import anneal, newton
from jaxplace.rounding import plan


SCENARIO = os.environ.get("JAXPLACE_STEPS", "medium")
NOTHING = "nothing: all steps on"
SLOW_S = 30.0  # a solve that takes longer is timed once, others three times


def all_rows(problem, seed):
    """No sample comes first."""
    yield problem


def same_duals(problem, state, cooling):
    """The next temperature starts where the last one ended."""
    return replace(state, temperature=state.temperature / cooling)


def same_relaxation(problem, relaxation, *_):
    """The duals stay as they are when a group of rows has been rounded."""
    return relaxation


STEPS = {  # what is left out -> [(module, name, what stands there instead)]
    NOTHING: [],
    "a hasty attempt first": [(pipeline, "MANY_ROWS", 0)],
    "samples: all rows from the start": [(anneal, "_levels", all_rows)],
    "lists of a row's nearest regions": [(api, "shortlist", lambda problem, duals, k: problem)],
    "duals extrapolated along the temperatures": [(anneal, "_cooled", same_duals)],
    "a budget for the curvature's rows": [(newton, "CURVATURE_PAIRS", 1e30)],
    "curvature from rows in doubt only": [(newton, "DOUBTFUL", -1.0)],
    "rounding the largest first": [(plan, "STEP", 1e30)],
    "settling the duals after each size": [(plan, "_resettle", same_relaxation)],
    "compiled loops: XLA instead": [(api, "_on_host", lambda problem: False)],
}


@pytest.mark.parametrize("without", STEPS)
def test_step(benchmark, monkeypatch, instance_of, scenarios, without):
    instance = instance_of(SCENARIO)
    for module, name, instead in STEPS[without]:
        monkeypatch.setattr(module, name, instead)
    settings = Settings(time_limit_s=300)
    runs, start = [], time.perf_counter()
    solve(instance, settings)
    rounds = 1 if time.perf_counter() - start > SLOW_S else 3
    benchmark.pedantic(lambda: runs.append(solve(instance, settings)), rounds=rounds)
    placement = sorted(runs, key=lambda run: sum(run.timings_s.values()))[rounds // 2]
    proof = placement.certificate
    benchmark.extra_info |= {
        "kind": "step",
        "scenario": SCENARIO,
        "scenario_sha256": digest(scenarios.get(SCENARIO)),
        "without": without,
        "seconds": benchmark.stats.stats.median,
        "steps": placement.trace[-1].step,
        "gap": proof.gap,
        "objective_usd": proof.objective_usd,
        "lower_bound_usd": proof.lower_bound_usd,
        "status": placement.status.name,
        "seed": placement.seed,
        "timings_s": placement.timings_s,
    }
    assert proof.feasible
