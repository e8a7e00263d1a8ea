"""What a solve costs, counted instead of timed: steps, passes over pairs, compilations.

To renew CEILINGS after a change that is meant: `pytest tests/test_counts.py -s` shows the counts;
take them times 1.3, rounded.  A count far below its ceiling is to be lowered likewise.
"""

import sys
from collections import Counter
from dataclasses import dataclass

import jax
import numpy as np
import pytest
from laws import with_rows
from numba.core.registry import CPUDispatcher

from jaxplace import Instance, Settings, demo_folder, load_scenario, solve
from jaxplace.generate import GenerateSettings, generate
from jaxplace.kernels import api


GAP = 3e-3  # one attempt at a plan is enough for it, so that counts do not hang on luck
# Newton steps; passes (calls of each kernel) and pairs (rows x regions that they were asked about)
CEILINGS = {
    "demo": {
        "first": {
            "steps": 33,
            "attempts": 1,
            "respond": 57,
            "respond pairs": 35e6,
            "curvature": 39,
            "curvature pairs": 9e6,
            "best_regions": 4,
            "best_regions pairs": 5e6,
            "reduced_costs pairs": 0,
        }
    },
    "generated": {
        "first": {
            "steps": 42,
            "attempts": 1,
            "respond": 66,
            "respond pairs": 36e6,
            "curvature": 48,
            "curvature pairs": 11e6,
            "best_regions": 4,
            "best_regions pairs": 5e6,
            "reduced_costs pairs": 0,
        },
        "next": {"steps": 43, "respond pairs": 31e6, "compiled by XLA": 0, "compiled by Numba": 0},
    },
}
COMPILED = "/jax/core/compile/backend_compile_duration"  # also where the program was on the disk
KERNELS = ("respond", "curvature", "best_regions", "reduced_costs")

xla_compilations: list[str] = []
jax.monitoring.register_event_duration_secs_listener(
    lambda event, *_, **__: xla_compilations.append(event) if event == COMPILED else None
)


def numba_signatures() -> int:
    """Machine code that Numba holds for jaxplace's loops, made here or read from the disk."""
    loops = {
        id(loop): len(loop.signatures)
        for name, module in list(sys.modules.items())
        if name.startswith("jaxplace")
        for loop in vars(module).values()
        if isinstance(loop, CPUDispatcher)
    }
    return sum(loops.values())


@dataclass
class Counted:
    """Solves instances and counts."""

    counts: Counter

    def solve(self, instance: Instance) -> dict[str, int]:
        """Counts of one solve."""
        self.counts.clear()
        xla, loops = len(xla_compilations), numba_signatures()
        placement = solve(instance, Settings(gap_target=GAP))
        assert placement.certificate.gap <= GAP
        return {
            "steps": placement.trace[-1].step,
            "attempts": sum(point.stage == "repaired" for point in placement.trace),
            **self.counts,
            "compiled by XLA": len(xla_compilations) - xla,
            "compiled by Numba": numba_signatures() - loops,
        }


@pytest.fixture
def counted(monkeypatch):
    """Every call of a kernel is counted on its way."""
    counts = Counter()

    def counting(name):
        kernel = getattr(api, name)

        def call(problem, *args, **options):
            counts[name] += 1
            counts[f"{name} pairs"] += problem.size * problem.regions
            return kernel(problem, *args, **options)

        return call

    for name in KERNELS:
        monkeypatch.setattr(api, name, counting(name))
    return Counted(counts)


@pytest.fixture(scope="module")
def scenario_of(tmp_path_factory):
    """The demo, and 20,000 x 100 generated."""
    folder = tmp_path_factory.mktemp("counts") / "generated"
    generate(GenerateSettings(requests=20_000, regions=100, seed=7), folder)
    return {"demo": load_scenario(demo_folder()), "generated": load_scenario(folder)}.get


@pytest.mark.skipif(jax.default_backend() != "cpu", reason="the ceilings are those of CPUs")
@pytest.mark.parametrize("name", CEILINGS)
def test_work_stays_below_its_ceilings(counted, scenario_of, name):
    """And another hour with a few requests less meets compiled programs."""
    scenario = scenario_of(name)
    counts = {"first": counted.solve(scenario.at(scenario.hours[0]))}
    if "next" in CEILINGS[name]:
        later = scenario.at(scenario.hours[1])
        counts["next"] = counted.solve(with_rows(later, np.arange(later.rows * 99 // 100)))
    sys.stdout.write(f"{name} {counts}\n")
    over = {
        (run, what): (counts[run].get(what, 0), most)
        for run, ceilings in CEILINGS[name].items()
        for what, most in ceilings.items()
        if counts[run].get(what, 0) > most
    }
    assert not over, f"count, ceiling: {over}"
