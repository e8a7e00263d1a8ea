"""Float64 comparisons as comparisons of integers."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from jaxplace.problem.ranks import exact_ranks


FLOATS = st.floats(allow_nan=False)
MANY = np.linspace(-3.0, 3.0, 5001)  # more distinct limits than are sorted by default


def agrees(limits: np.ndarray, values: np.ndarray) -> None:
    """The promise: ranks compare as the floats do, every limit with every value."""
    limit_rank, value_rank = exact_ranks(limits, values)
    assert limit_rank.dtype == value_rank.dtype == np.int32
    assert limit_rank.shape == limits.shape
    assert value_rank.shape == values.shape
    np.testing.assert_array_equal(
        limit_rank.ravel()[:, None] >= value_rank.ravel()[None],
        limits.ravel()[:, None] >= values.ravel()[None],
    )


def around(values: list[float]) -> np.ndarray:
    """The values and the floats next to them."""
    array = np.array(values)
    with np.errstate(over="ignore"):  # the neighbour of the largest float is inf
        return np.concatenate([array, np.nextafter(array, -np.inf), np.nextafter(array, np.inf)])


@given(st.lists(FLOATS, min_size=1, max_size=20), st.lists(FLOATS, min_size=1, max_size=20))
@settings(deadline=None, max_examples=200)
def test_ranks_compare_as_the_floats_do(limits, values):
    """Any floats: infinite, equal, adjacent, of either sign."""
    agrees(np.array(limits), np.array(values))
    agrees(around(limits), around(limits + values))


@given(st.lists(FLOATS, min_size=1, max_size=20))
@settings(deadline=None, max_examples=50)
def test_many_limits_against_few_values(values):
    """The branch that sorts the values instead."""
    agrees(np.r_[MANY, around(values), np.inf], around(values))
    agrees(np.r_[MANY, -np.inf, np.inf], np.array(values))


def test_many_limits_against_more_values():
    """More distinct limits than are sorted by default, and yet fewer than values."""
    values = np.random.default_rng(0).permutation(np.r_[around(list(MANY[::2])), np.inf, -np.inf])
    agrees(MANY[:4500], values)


@pytest.mark.parametrize("limits", [np.array([0.5, np.inf]), np.append(MANY, np.inf)])
def test_an_infinite_value_reaches_no_finite_limit(limits):
    """Unreachable pairs stay so, whichever side is sorted."""
    limit_rank, value_rank = exact_ranks(limits, np.array([np.inf, 0.0]))
    assert (limit_rank[:-1] < value_rank[0]).all()


def test_any_shape():
    """Tables keep their shape, and there may be no limit at all."""
    agrees(np.arange(6.0).reshape(2, 3), np.arange(8.0).reshape(2, 2, 2))
    assert exact_ranks(np.zeros(0), np.ones((2, 2)))[1].shape == (2, 2)
