"""What compiled loops share: arrays as they take them, stable orders, parts of a range."""

import numpy as np
import pytest

from jaxplace.native import compiled, frozen, lent, spread, stable_order


@pytest.mark.parametrize("classes", [1, 7, 5000, 10**7])
def test_a_stable_order_is_numpys(classes):
    """Counted or compared, keys rise and ties keep their order; small integers will do."""
    rng = np.random.default_rng(classes)
    for kind in (np.int32, np.int64):
        key = rng.integers(0, classes, 1000).astype(kind)
        np.testing.assert_array_equal(stable_order(key, classes), np.argsort(key, kind="stable"))
    assert len(stable_order(np.zeros(0, np.int64), classes)) == 0


def test_frozen_arrays_are_views_where_they_can_be():
    """Nothing is copied without need, and the array itself stays as it was."""
    values = np.arange(6.0).reshape(2, 3)
    view = frozen(values, float)
    assert np.shares_memory(view, values)
    assert values.flags.writeable
    assert not view.flags.writeable
    turned = frozen(values.T, np.float32)
    assert turned.flags.c_contiguous
    np.testing.assert_array_equal(turned, values.T)


@pytest.mark.parametrize("chunks", [1, 3, 100])
@pytest.mark.parametrize("size", [0, 1, 10])
def test_parts_cover_the_range_once(size, chunks):
    """In order, whatever the threads do."""
    parts = spread(lambda a, b: list(range(a, b)), size, chunks=chunks)
    assert [i for part in parts for i in part] == list(range(size))


def test_what_is_lent_is_the_argument_itself():
    """Arrays keep their data, layout and whether they may be written; the rest passes through."""

    @compiled
    def double(values, pair):
        values, (other, factor) = lent((values, pair))
        for i in range(len(values)):
            values[i] += factor * other[i, 0]

    values, other = np.arange(4.0), frozen(np.arange(8.0).reshape(4, 2), float)
    double(values, (other, 2.0))
    np.testing.assert_array_equal(values, [0, 5, 10, 15])
    again = double(values, (other, 2.0))
    assert again is None
    np.testing.assert_array_equal(values, [0, 9, 18, 27])
