"""`Instance.from_arrays`: what it accepts, what it refuses, and what it makes of it."""

import numpy as np
import pytest

from jaxplace.errors import InputError
from jaxplace.instance import DenseTerms, Instance


N, M, R = 5, 3, 2


def arrays(**changes):
    """Arguments that are right, with some of them changed."""
    rng = np.random.default_rng(0)
    given = {
        "cost": rng.uniform(1, 2, (N, M)),
        "use": rng.uniform(1, 2, N),
        "capacity": np.full(M, 4.0),
    }
    return {**given, **changes}


def faults(**changes):
    """The faults that the changed arguments are refused with."""
    with pytest.raises(InputError) as refused:
        Instance.from_arrays(**arrays(**changes))
    return refused.value.faults


def test_plain_arrays_become_rows_without_current_regions():
    """The nouns that a matrix does not speak of get their neutral values."""
    made = Instance.from_arrays(**arrays())
    assert made.resources == ("use",)
    assert (made.rows, made.regions) == (N, M)
    np.testing.assert_array_equal(made.request_id, np.arange(N))
    np.testing.assert_array_equal(made.count, np.ones(N))
    np.testing.assert_array_equal(made.current, np.full(N, -1))
    assert isinstance(made.terms, DenseTerms)
    assert made.terms.use_factor is None
    assert made.terms.allowed.all()


@pytest.mark.parametrize(
    ("use", "capacity", "per_pair"),
    [
        ((N,), (M,), False),
        ((N, M), (M,), True),
        ((N, M), (M, 1), True),
        ((N, R), (M, R), False),
        ((N, M, R), (M, R), True),
    ],
)
def test_every_documented_shape_of_use(use, capacity, per_pair):
    """Use per row, per pair and per resource end as use [n, R] times a factor, or none."""
    values = np.random.default_rng(1).uniform(1, 2, use)
    made = Instance.from_arrays(**arrays(use=values, capacity=np.full(capacity, 9.0)))
    resources = made.capacity.shape[1]
    assert made.use.shape == (N, resources)
    assert (made.terms.use_factor is not None) == per_pair
    pair = made.use[:, None] * (made.terms.use_factor if per_pair else np.ones((N, M, 1)))
    wanted = values.reshape(N, M if per_pair else 1, resources)
    np.testing.assert_array_equal(pair, np.broadcast_to(wanted, pair.shape))


def test_two_dimensions_of_use_are_read_by_the_capacity():
    """With n = m = R, [n, m] is meant if the capacity is [m], else [n, R]."""
    square, four = np.full((4, 4), 1.0), np.full((4, 4), 2.0)
    by_pair = Instance.from_arrays(cost=square, use=square, capacity=np.full(4, 2.0))
    by_resource = Instance.from_arrays(cost=square, use=square, capacity=four)
    assert by_pair.terms.use_factor is not None
    assert by_resource.terms.use_factor is None
    assert by_resource.resources == ("use_0", "use_1", "use_2", "use_3")


def test_units_that_do_not_fit_are_not_allowed():
    """The mask says no where one unit is larger than the region, and the cost there is 0."""
    made = Instance.from_arrays(**arrays(use=np.array([1, 5, 1, 1, 1.0]), capacity=[4, 6, 0.5]))
    np.testing.assert_array_equal(made.terms.allowed[1], [False, True, False])
    np.testing.assert_array_equal(made.terms.allowed[0], [True, True, False])
    assert (made.terms.cost[~made.terms.allowed] == 0).all()


def test_the_cost_of_a_forbidden_pair_may_be_anything():
    """Infinite and NaN costs are fine where nothing may run."""
    cost = arrays()["cost"]
    cost[0, 0], cost[1, 1] = np.inf, np.nan
    made = Instance.from_arrays(**arrays(cost=cost, allowed=np.isfinite(cost)))
    assert np.isfinite(made.terms.cost).all()
    (fault,) = faults(cost=cost)
    assert "allowed=np.isfinite(C)" in fault
    assert "2 that are not, first [0, 0] = inf" in fault


def test_the_right_types_are_not_copied():
    """A large matrix of float64 is used as it is."""
    given = arrays(allowed=np.ones((N, M), bool))
    made = Instance.from_arrays(**given)
    assert np.shares_memory(made.terms.cost, given["cost"])
    assert np.shares_memory(made.terms.allowed, given["allowed"])


def test_the_default_penalty_is_stated():
    """The penalty is 1 + 10 spreads of the allowed costs, and the notes give the number."""
    cost = np.array([[1.0, 3.0], [2.0, 99.0]])
    allowed = np.array([[True, True], [True, False]])
    made = Instance.from_arrays(cost=cost, use=[1, 1], capacity=[2, 2], allowed=allowed)
    np.testing.assert_array_equal(made.unplaced, [21.0, 21.0])
    assert "21" in made.notes[0]
    assert "may pay" not in made.notes[0]


def test_a_default_penalty_below_the_costs_is_warned_of():
    """Costs all alike and large: leaving units out would be cheaper, so the note says so."""
    made = Instance.from_arrays(cost=np.full((2, 2), 50.0), use=[1, 1], capacity=[2, 2])
    assert "may pay" in made.notes[0]
    assert not Instance.from_arrays(**arrays(unplaced=3)).notes


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"cost": np.ones(3)}, ["cost", "[n, m]", "(3,)"]),
        ({"cost": [[1, 2], [3]]}, ["cost", "unequal length"]),
        ({"cost": [["a"]]}, ["cost", "numbers"]),
        ({"capacity": np.ones((R, M))}, ["capacity", "(3,) or (3, R)", "(2, 3)", "transposed"]),
        ({"capacity": [1, -1, np.nan]}, ["capacity", "2 that are not", "[1] = -1"]),
        ({"use": np.ones((M, N))}, ["use", "(3, 5)", "transposed"]),
        ({"use": -np.ones(N)}, ["use", ">= 0", "5 that are not"]),
        ({"allowed": np.ones((M, N), bool)}, ["allowed", "(5, 3)", "(3, 5)", "transposed"]),
        ({"allowed": np.ones((N, M))}, ["allowed", "bool", "float64"]),
        ({"count": [1, 2, 0, 1, 1]}, ["count", "whole numbers >= 1", "[2] = 0"]),
        ({"count": [1.5] * N}, ["count", "whole"]),
        ({"count": [1, 2]}, ["count", "(5,)", "(2,)"]),
        ({"unplaced": -1}, ["unplaced", ">= 0", "-1"]),
        ({"unplaced": np.ones((N, M))}, ["unplaced", "(5,)"]),
    ],
)
def test_each_fault_says_what_came_and_what_is_wanted(changes, words):
    """A wrong array is refused in one sentence with the rule and what came."""
    (fault,) = faults(**changes)
    assert "Instance.from_arrays(" in fault
    for word in words:
        assert word in fault


def test_all_faults_come_at_once():
    """Four wrong arrays are four faults."""
    found = faults(use=-np.ones(N), capacity=np.ones(7), count=0, allowed=np.ones(2))
    assert len(found) == 4
