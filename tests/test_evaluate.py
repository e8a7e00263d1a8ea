"""The pairwise numbers: a hand-computed pair, blocks against pairs, sums against the formulas."""

import numpy as np
import pytest
from instances import FEATURES, dense_instance, random_instance

from jaxplace import evaluate
from jaxplace.instance import Instance, Policy, Terms
from jaxplace.placement import Assignment


def two_regions(**policy) -> Instance:
    """One row of two units that runs at region 0, with numbers that are easy by hand."""
    return Instance(
        request_id=np.array(["q"]),
        region_id=np.array(["here", "there"]),
        resources=("gpu",),
        request=np.zeros(1, np.int64),
        count=np.array([2]),
        current=np.array([0], np.int32),
        use=np.array([[3.0]]),
        capacity=np.array([[10.0], [12.0]]),
        unplaced=np.array([7.0]),
        terms=Terms(
            energy_kwh=np.array([10.0]),
            egress_gb=np.array([4.0]),
            state_gb=np.array([5.0]),
            latency_budget_ms=np.array([60.0]),
            origin=np.array([0]),
            workload=np.array([0]),
            residency=np.array([0]),
            price_usd_per_mwh=np.array([-20.0, 50.0]),
            carbon_g_per_kwh=np.array([100.0, 300.0]),
            pue=np.array([1.5, 1.2]),
            energy_factor=np.array([[1.0, 2.0]]),
            use_factor=np.array([[1.0, 4.0]]),
            service_ms=np.array([[0.0, 5.0]]),
            hosted=np.ones((1, 2), bool),
            rtt_ms=np.array([[10.0, 50.0]]),
            legal=np.ones((1, 2), bool),
            origin_zone=np.array([0]),
            region_zone=np.array([0, 1]),
            transfer=np.array([[0.0, 0.1], [0.2, 0.0]]),
        ),
        policy=Policy(carbon_price_usd_per_t=100.0, move_usd=0.25, **policy),
    )


def test_a_pair_by_hand():
    """Every part of the cost of CONTRACT section 1, worked out on paper."""
    found = evaluate.parts(two_regions(), slice(0, 1))
    np.testing.assert_allclose(found.kwh, [[15.0, 24.0]])
    np.testing.assert_allclose(found.cost["energy_usd"], [[-0.3, 1.2]])
    np.testing.assert_allclose(found.kg, [[1.5, 7.2]])
    np.testing.assert_allclose(found.cost["carbon_usd"], [[0.15, 0.72]])
    np.testing.assert_allclose(found.cost["egress_usd"], [[0.0, 0.4]])
    np.testing.assert_allclose(found.cost["move_usd"], [[0.0, 0.75]])
    np.testing.assert_array_equal(found.move, [[False, True]])
    np.testing.assert_allclose(evaluate.use(two_regions(), 0, slice(0, 1)), [[3.0, 12.0]])


@pytest.mark.parametrize(("margin", "allowed"), [(0.0, True), (0.1, True), (0.11, False)])
def test_the_latency_budget_is_met_to_the_bit(margin, allowed):
    """50 ms with the margin, and 5 ms of service, against 60 ms."""
    ok = evaluate.allowed(two_regions(latency_margin=margin), slice(0, 1))
    expected = 50.0 * (1 + margin) + 5.0 <= 60.0
    assert ok[0, 1] == expected
    assert (margin == 0.1) or expected == allowed


def test_an_infinite_budget_passes_all_but_missing_pairs():
    """Without a budget every region is near enough, unless the table lacks the pair."""
    instance = two_regions()
    instance.terms.latency_budget_ms[:] = np.inf
    instance.terms.rtt_ms[0, 1] = np.inf
    np.testing.assert_array_equal(evaluate.allowed(instance, slice(0, 1)), [[True, False]])


def test_a_unit_that_fills_a_region_fits():
    """Use equal to the capacity is allowed, a bit more is not."""
    instance = two_regions()
    assert evaluate.allowed(instance, slice(0, 1)).all()  # 3 * 4 = 12
    instance.capacity[1, 0] = np.nextafter(12.0, 0.0)
    assert not evaluate.allowed(instance, slice(0, 1))[0, 1]


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("make", [random_instance, dense_instance])
def test_pairs_agree_with_blocks(make, seed):
    """The vector form at a pair is the block form at that pair."""
    instance = make(seed)
    rng = np.random.default_rng(seed)
    i = rng.integers(0, instance.rows, 50)
    j = rng.integers(0, instance.regions, 50)
    everything = slice(0, instance.rows)
    block, pairs = evaluate.parts(instance, everything), evaluate.parts(instance, i, j)
    for name, values in block.cost.items():
        np.testing.assert_array_equal(values[i, j], pairs.cost[name])
    for whole, some in zip(block[1:], pairs[1:], strict=True):
        np.testing.assert_array_equal(whole[i, j], some)
    for function in (evaluate.allowed, evaluate.cost):
        whole = function(instance, everything)
        np.testing.assert_array_equal(whole[i, j], function(instance, i, j))
        np.testing.assert_array_equal(whole[i], function(instance, i))
    for r in range(len(instance.resources)):
        whole = evaluate.use(instance, r, everything)
        np.testing.assert_array_equal(whole[i, j], evaluate.use(instance, r, i, j))


@pytest.mark.parametrize("without", [*sorted(FEATURES), None])
def test_the_fast_cost_is_the_sum_of_its_parts(without):
    """Combining tables and leaving out zero terms changes nothing but the last bits."""
    instance = random_instance(3, features=FEATURES - {without})
    rows = slice(3, 20)
    part = evaluate.parts(instance, rows)
    total = sum(part.cost.values())
    np.testing.assert_allclose(evaluate.cost(instance, rows), total, rtol=1e-13, atol=1e-15)
    with_duals = evaluate.cost(instance, rows, usd_per_move=0.3, usd_per_kg=0.7)
    np.testing.assert_allclose(
        with_duals, total + 0.3 * part.move + 0.7 * part.kg, rtol=1e-13, atol=1e-15
    )


def test_blocks_cover_the_rows_once():
    """Slices are adjacent, and a block of fewer pairs than regions is one row."""
    instance = random_instance(0, n=23)
    for pairs in (1, 50, 10**6):
        rows = np.concatenate(
            [np.arange(x.start, x.stop) for x in evaluate.blocks(instance, pairs)]
        )
        np.testing.assert_array_equal(rows, np.arange(23))


def test_totals_by_hand():
    """One unit moves, one is unplaced: every sum on paper."""
    plan = Assignment(np.array([0, 0]), np.array([-1, 1], np.int32), np.array([1, 1]))
    found = evaluate.totals(two_regions(), plan)
    assert found.objective_usd == pytest.approx(7.0 + 1.2 + 0.72 + 0.4 + 0.75)
    assert (found.placed, found.unplaced, found.moves) == (1, 1, 1)
    assert found.cost["unplaced_usd"] == 7.0
    np.testing.assert_allclose(found.load, [[0.0], [12.0]])
    np.testing.assert_allclose(found.region_kwh, [0.0, 24.0])
    np.testing.assert_allclose(found.region_carbon_kg, [0.0, 7.2])
    np.testing.assert_allclose(found.region_cost_usd, [0.0, 3.07])
    np.testing.assert_array_equal(found.region_units, [0, 1])


@pytest.mark.parametrize("flows", [7, 10**6])
def test_totals_do_not_depend_on_the_block(monkeypatch, flows):
    """Sums over small blocks of flows are those over all at once."""
    instance = random_instance(5)
    rows = np.arange(instance.rows)
    plan = Assignment(rows, (rows % instance.regions).astype(np.int32), instance.count)
    monkeypatch.setattr(evaluate, "BLOCK_FLOWS", flows)
    found = evaluate.totals(instance, plan)
    part = evaluate.parts(instance, plan.row, plan.region)
    for name, values in part.cost.items():
        assert found.cost[name] == pytest.approx(instance.count @ values, rel=1e-12)
    assert found.moves == instance.count @ part.move
    assert found.region_cost_usd.sum() == pytest.approx(found.objective_usd, rel=1e-12)


def test_an_empty_plan_has_no_cost():
    """A plan without a flow is priced as nothing."""
    nothing = np.zeros(0, np.int64)
    found = evaluate.totals(random_instance(0), Assignment(nothing, nothing, nothing))
    assert found.objective_usd == 0
    assert not found.load.any()
