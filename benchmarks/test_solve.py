"""Whole solves as a user runs them: processes, from their start to the files written.

    pytest benchmarks/test_solve.py --benchmark-json=benchmarks/results/NAME.json

Cold: the first run on a machine, with empty caches of compiled programs.  Warm: the next one.  The
series are warm.  Ten million requests run with `-m huge` only.
"""

import pytest

from benchmarks.common import measure


HUGE = pytest.mark.huge
TEN = pytest.param("ten", marks=HUGE)
TEN_MILLION = pytest.param(10_000_000, marks=HUGE)
ROUNDS = {"demo": 5, "small": 5, "medium": 3, "large": 3, "ten": 1}


@pytest.mark.parametrize("cache", ["cold", "warm"])
@pytest.mark.parametrize("name", ["demo", "small", "medium", "large", TEN])
def test_solve(benchmark, scenarios, solver, name, cache):
    rounds = ROUNDS[name] if cache == "warm" else min(ROUNDS[name], 3 if name != "large" else 1)
    measure(benchmark, solver, scenarios.get(name), kind="solve", cache=cache, rounds=rounds)


@pytest.mark.parametrize("requests", [1_000, 10_000, 100_000, 1_000_000, TEN_MILLION])
def test_growth_with_requests(benchmark, scenarios, solver, requests):
    """At 100 regions."""
    scenario = scenarios.get(f"{requests}x100", requests=requests, regions=100)
    rounds = 3 if requests <= 100_000 else 1
    measure(benchmark, solver, scenario, kind="growth: requests", cache="warm", rounds=rounds)


@pytest.mark.parametrize("regions", [50, 200, 1_000, 4_000])
def test_growth_with_regions(benchmark, scenarios, solver, regions):
    """At 100,000 requests."""
    scenario = scenarios.get(f"100000x{regions}", requests=100_000, regions=regions)
    rounds = 3 if regions <= 200 else 1
    measure(benchmark, solver, scenario, kind="growth: regions", cache="warm", rounds=rounds)
