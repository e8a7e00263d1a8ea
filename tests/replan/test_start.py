"""Duals carried over to other prices."""

from dataclasses import replace

import numpy as np
import pandas as pd
import tables

from jaxplace import Policy, Settings, solve
from jaxplace.instance import Instance
from jaxplace.replan import warm
from jaxplace.scenario import Scenario
from jaxplace.start import Start


SCENARIO = Scenario(**tables.tables(room=0.9))


def placed(instance):
    """A plan of the instance."""
    return solve(instance, Settings(gap_target=1e-2))


def test_the_same_prices_change_nothing():
    """At its own hour a start gives its own duals back."""
    plan = placed(SCENARIO.at(tables.HOURS[0]))
    assert (plan.duals.capacity > 0).any()
    same = Start.of(plan).duals_for(plan.instance)
    assert np.array_equal(same.capacity, plan.duals.capacity)


def test_a_dearer_region_is_worth_less():
    """A price that rises by a little lowers the dual by what a unit of use then costs more."""
    plan = placed(SCENARIO.at(tables.HOURS[0], Policy(carbon_price_usd_per_t=50)))
    j = int(plan.duals.capacity[:, 0].argmax())
    terms = plan.instance.terms
    price = terms.price_usd_per_mwh.copy()
    price[j] += 1.0
    other = replace(plan.instance, terms=replace(terms, price_usd_per_mwh=price))
    moved = Start.of(plan).duals_for(other).capacity - plan.duals.capacity
    energy = plan.certificate.region_kwh[j] / plan.certificate.load[j, 0]
    assert np.isclose(moved[j, 0], -1.0 / 1e3 * energy)
    assert np.count_nonzero(moved) == 1
    price[j] += 1e6
    assert Start.of(plan).duals_for(other).capacity[j, 0] == 0.0


def test_regions_are_matched_by_name():
    """Regions in another order, new ones and gone ones."""
    frames = tables.tables(room=0.9)
    plan = placed(SCENARIO.at(tables.HOURS[0]))
    extra = frames["regions"].iloc[[0]].assign(region="new")
    regions = pd.concat([frames["regions"].iloc[[2, 0]], extra])
    latency = frames["latency"][frames["latency"]["region"] != "us"]
    now = Scenario(**frames | {"regions": regions, "latency": latency}).at(tables.HOURS[0])
    duals = Start.of(plan).duals_for(now).capacity
    assert np.array_equal(duals[:2], plan.duals.capacity[[2, 0]])
    assert not duals[2].any()
    assert solve(now, warm_start=Start.of(plan)).certificate.feasible


def test_a_dense_instance_has_no_prices():
    """Its duals are taken as they are."""
    rng = np.random.default_rng(0)
    dense = Instance.from_arrays(cost=rng.random((20, 3)), use=np.ones(20), capacity=np.full(3, 8))
    plan = placed(dense)
    assert np.array_equal(Start.of(plan).duals_for(dense).capacity, plan.duals.capacity)


def test_a_start_is_kept_in_a_file(tmp_path):
    """What is read is what was written."""
    plan = placed(SCENARIO.at(tables.HOURS[0], Policy(max_moves=5.0)))
    warm.save(plan, tmp_path)
    read, start = warm.load(tmp_path), Start.of(plan)
    assert read.resources == start.resources
    assert (read.duals.moves, read.duals.carbon) == (start.duals.moves, start.duals.carbon)
    for name in ("region_id", "usd_per_kwh", "kwh", "load", "capacity"):
        assert np.array_equal(getattr(read, name), getattr(start, name))
