"""HiGHS on the same instances: it solves the relaxation to fractional units: a bound, no plan."""

import pytest

from tests import highs


@pytest.mark.parametrize("name", ["demo", "small"])
def test_highs_lp(benchmark, instance_of, name):
    instance = instance_of(name)
    optimum = benchmark.pedantic(highs.lp_optimum, args=(instance,), rounds=1)
    benchmark.extra_info |= {"kind": "highs", "scenario": name, "lp_optimum_usd": optimum}
