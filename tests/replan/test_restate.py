"""A plan by request as flows from where the units run: as few moves as it allows."""

from dataclasses import replace

import numpy as np
import placements
import pytest

from jaxplace import evaluate
from jaxplace.placement import Assignment
from jaxplace.replan.restate import restate


@pytest.mark.parametrize("seed", range(5))
def test_counts_and_moves(seed):
    """Units per request and region are the plan's; what may stay stays."""
    instance = placements.instance(n=40, m=6, parts=True, seed=seed)
    rng = np.random.default_rng(seed)
    total = np.bincount(instance.request, instance.count).astype(int)
    wanted = np.stack([rng.multinomial(n, np.full(7, 1 / 7)) for n in total])
    i, j = np.nonzero(wanted)
    plan = restate(instance, i, (j - 1).astype(np.int32), wanted[i, j])
    assert np.array_equal(np.bincount(plan.row, plan.count, instance.rows), instance.count)
    found = np.zeros_like(wanted)
    np.add.at(found, (instance.request[plan.row], plan.region + 1), plan.count)
    assert np.array_equal(found, wanted)
    have = np.zeros_like(wanted)
    np.add.at(have, (instance.request, instance.current + 1), instance.count)
    stay = np.minimum(have, wanted).sum()
    kept = plan.count[instance.current[plan.row] == plan.region].sum()
    assert kept == stay
    key = plan.row * 10 + plan.region
    assert (np.diff(key) > 0).all()


def test_a_plan_of_its_own_is_itself():
    """Nothing moves where all stays."""
    instance = replace(placements.instance(), current=np.zeros(60, np.int32))
    plan = restate(instance, np.arange(60), np.zeros(60, np.int32), instance.count)
    assert evaluate.totals(instance, plan).moves == 0
    assert isinstance(plan, Assignment)
