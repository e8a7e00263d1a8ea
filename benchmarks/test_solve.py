"""Whole solves, compiled programs warm: seconds, certified gap, and HiGHS's LP beside it.

    pytest benchmarks -k "not large" --benchmark-json=benchmarks/results/NAME.json

HiGHS solves the relaxation to fractional units: it yields a bound, not a plan.
"""

import pytest

from jaxplace import solve
from tests import highs


SIZES = {"demo": 5, "small": 5, "medium": 1, "large": 1}


@pytest.mark.parametrize("name", SIZES)
def test_solve(benchmark, instance_of, name):
    instance = instance_of(name)
    placement = benchmark.pedantic(
        solve, args=(instance,), rounds=SIZES[name], warmup_rounds=int(name != "large")
    )
    certificate = placement.certificate
    benchmark.extra_info |= {
        "requests": instance.rows,
        "regions": instance.regions,
        "gap": certificate.gap,
        "objective_usd": certificate.objective_usd,
        "lower_bound_usd": certificate.lower_bound_usd,
        "status": placement.status.name,
        "baselines": {k: v["objective_usd"] for k, v in placement.baselines.items()},
        "timings_s": placement.timings_s,
        "versions": placement.versions,
        "device": placement.device,
    }
    assert certificate.feasible


@pytest.mark.parametrize("name", ["demo", "small"])
def test_highs_lp(benchmark, instance_of, name):
    instance = instance_of(name)
    optimum = benchmark.pedantic(highs.lp_optimum, args=(instance,), rounds=1)
    benchmark.extra_info |= {"lp_optimum_usd": optimum}
