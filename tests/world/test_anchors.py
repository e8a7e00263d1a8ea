"""The anchor model against its definition, written as loops."""

import numpy as np
import pytest

from jaxplace.world.anchors import anchor_rtt, great_circle_km
from jaxplace.world.bundle import anchors


def slow_rtt(o, r, a, between):
    """The formula of the docstring, pair by pair."""

    def km(p, q):
        return float(great_circle_km(p[0], p[1], q[0], q[1]))

    out = np.empty((len(o), len(r)))
    for i, p in enumerate(o):
        for j, q in enumerate(r):
            near_p = sorted(range(len(a)), key=lambda k, p=p: km(p, a[k]))[:3]
            near_q = sorted(range(len(a)), key=lambda k, q=q: km(q, a[k]))[:3]
            best = 4 + 0.03 * km(p, q)
            for s in near_p:
                for t in near_q:
                    way = 6 + 0.025 * (km(p, a[s]) + km(q, a[t])) + between[s, t]
                    best = min(best, way)
            out[i, j] = best
    return out


def points(rng, n):
    return np.column_stack([rng.uniform(-60, 70, n), rng.uniform(-180, 180, n)])


@pytest.mark.parametrize("n_anchors", [1, 2, 9])
def test_is_the_formula(n_anchors, monkeypatch):
    """Blocks of any size give what nested loops over the formula give."""
    rng = np.random.default_rng(n_anchors)
    o, r, a = points(rng, 7), points(rng, 5), points(rng, n_anchors)
    between = rng.uniform(1, 250, (n_anchors, n_anchors))
    monkeypatch.setattr("jaxplace.world.anchors.BLOCK_PAIRS", 11)
    got = anchor_rtt(*o.T, *r.T, anchor_lat=a[:, 0], anchor_lon=a[:, 1], anchor_rtt_ms=between)
    np.testing.assert_allclose(got, slow_rtt(o, r, a, between), rtol=1e-12)


def test_distances_are_those_of_an_atlas():
    """London to New York is 5,570 km, a quarter of the equator 10,008 km, and 0 stays 0."""
    assert great_circle_km(51.507, -0.128, 40.713, -74.006) == pytest.approx(5570, abs=5)
    assert great_circle_km(0, 0, 0, 90) == pytest.approx(10_007.6, abs=0.5)
    assert great_circle_km([10, 20], 30, [10, 20], 30).tolist() == [0, 0]


def test_measured_regions_stay_near_their_measurements():
    """Between two anchors the model is never more than 6 ms above what was measured."""
    places, between = anchors()
    lat, lon = places["latitude"], places["longitude"]
    got = anchor_rtt(lat, lon, lat, lon, anchor_lat=lat, anchor_lon=lon, anchor_rtt_ms=between)
    assert between.shape == (69, 69)
    assert (got <= between + 6 + 1e-9).all()
    assert (got > 0).all()


def test_a_matrix_of_the_wrong_shape_is_refused():
    """The message says which shape was asked for."""
    with pytest.raises(ValueError, match=r"\[a, a\] for a = 2"):
        anchor_rtt(
            [0], [0], [0], [0], anchor_lat=[0, 1], anchor_lon=[0, 1], anchor_rtt_ms=np.ones((3, 3))
        )
