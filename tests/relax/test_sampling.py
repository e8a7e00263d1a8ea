"""Rows that stand for all rows."""

import numpy as np
import pytest

from jaxplace.relax.sampling import sample


def masses(n: int = 20_000) -> np.ndarray:
    """Masses of very different size, as counts of units are."""
    return np.random.default_rng(0).lognormal(0.0, 1.5, n)


def test_totals_are_unbiased():
    """Over many draws the sample's total of anything is the whole's."""
    mass, rng = masses(), np.random.default_rng(1)
    value = mass * rng.uniform(0.0, 2.0, len(mass))
    totals, sizes = [], []
    for _ in range(200):
        index, boost = sample(mass, 1000, rng)
        totals.append((value[index] * boost).sum())
        sizes.append(len(index))
    error = np.std(totals) / np.sqrt(len(totals))
    assert abs(np.mean(totals) - value.sum()) < 4 * error
    assert np.std(totals) < 0.04 * value.sum()
    assert abs(np.mean(sizes) - 1000) < 2


def test_every_draw_weighs_what_the_whole_does():
    """Drawn in proportion to mass, each sample's mass is the whole's to within a row or two."""
    mass = masses()
    for seed in range(5):
        index, boost = sample(mass, 1000, np.random.default_rng(seed))
        assert (mass[index] * boost).sum() == pytest.approx(mass.sum(), rel=3e-3)


def test_the_heaviest_are_kept():
    """A row that weighs more than a sample's share is in every sample, with its own weight."""
    mass = masses()
    mass[[3, 77, 19_999]] = mass.sum()
    for seed in range(10):
        index, boost = sample(mass, 500, np.random.default_rng(seed))
        where = np.searchsorted(index, [3, 77, 19_999])
        np.testing.assert_array_equal(index[where], [3, 77, 19_999])
        np.testing.assert_array_equal(boost[where], 1)


def test_rows_come_once_and_in_order():
    """Indices rise, and no row weighs less than its own weight."""
    index, boost = sample(masses(), 3000, np.random.default_rng(2))
    assert (np.diff(index) > 0).all()
    assert (boost >= 1).all()


def test_rows_without_mass_stay_out():
    """Rows of weight 0 (which no region serves, say) are not drawn."""
    mass = masses()
    mass[::2] = 0
    for seed in range(5):
        index, boost = sample(mass, 1000, np.random.default_rng(seed))
        assert (mass[index] * boost).sum() == pytest.approx(mass.sum(), rel=3e-3)
        assert (mass[index] > 0).all()


def test_without_any_mass_there_is_nothing_to_draw():
    """Where no region serves any row, the sample is empty, without a warning."""
    index, boost = sample(np.zeros(100), 10, np.random.default_rng(0))
    assert len(index) == len(boost) == 0


def test_the_same_seed_draws_the_same_rows():
    """Randomness comes from the generator alone."""
    first, second = (sample(masses(), 700, np.random.default_rng(5))[0] for _ in range(2))
    np.testing.assert_array_equal(first, second)
