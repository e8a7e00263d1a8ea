"""Assignment problems: their files, their random types, and what the reader refuses."""

from pathlib import Path

import numpy as np
import pytest

from jaxplace.certify import certify
from jaxplace.compare import gap
from jaxplace.errors import InputError
from jaxplace.placement import Assignment, Duals


FOLDER = Path(__file__).parent / "gap"
BEST = gap.best_known(FOLDER / "best_known.csv")


@pytest.mark.parametrize("name", BEST)
def test_reads_the_library(name):
    """Sizes are the name's, and no plan's bound is above the optimum."""
    (instance,) = gap.read(FOLDER / name)
    assert (instance.rows, instance.regions) == {
        "gap1-0": (15, 5), "b10100": (100, 10), "c05100": (100, 5), "d05100": (100, 5)
    }[name]  # fmt: skip
    nobody = Assignment(np.arange(instance.rows), np.full(instance.rows, -1, np.int32),
                        instance.count)  # fmt: skip
    proof = certify(instance, nobody, Duals(np.zeros(instance.capacity.shape)))
    assert 0 < proof.lower_bound_usd <= BEST[name]


def test_leaving_out_never_pays():
    """One job left out costs more than the dearest plan saves against the cheapest."""
    (problem,) = gap.problems(FOLDER / "c05100")
    low, high = problem.cost.min(0), problem.cost.max(0)
    for out in range(problem.cost.shape[1]):
        assert low.sum() - low[out] + problem.dear() > high.sum()


def test_agents_are_regions():
    """Cost and use are transposed, agent by agent in the file."""
    (problem,) = gap.problems(FOLDER / "gap1-0")
    instance = problem.instance()
    assert np.array_equal(instance.terms.cost, problem.cost.T)
    assert np.array_equal(instance.terms.use_factor[:, :, 0], problem.use.T)
    assert np.array_equal(instance.capacity[:, 0], problem.capacity)


def test_several_problems_in_a_file(tmp_path):
    """The OR-Library's own files start with how many there are."""
    texts = [(FOLDER / name).read_text() for name in ("gap1-0", "d05100")]
    (tmp_path / "both").write_text("2\n" + "\n".join(texts))
    first, second = gap.problems(tmp_path / "both")
    assert (first.name, second.name) == ("both-0", "both-1")
    assert first.cost.shape == (5, 15)
    assert np.array_equal(second.use, gap.problems(FOLDER / "d05100")[0].use)


@pytest.mark.parametrize("text", ["", "1", "2 3\n1 2", "words", "1.5 2 1 1 1 1 1", "-1 -2 3"])
def test_refuses_what_is_no_problem(text, tmp_path):
    """A cut file, or one of another kind, is named."""
    (tmp_path / "file").write_text(text)
    with pytest.raises(InputError, match="no file of assignment problems"):
        gap.read(tmp_path / "file")


def test_refuses_what_is_not_there(tmp_path):
    """So is a missing one."""
    with pytest.raises(InputError, match="nowhere"):
        gap.read(tmp_path / "nowhere")
    with pytest.raises(InputError, match="no table of best known"):
        gap.best_known(tmp_path / "nowhere")


@pytest.mark.parametrize("kind", gap.KINDS)
def test_made_types_keep_their_definitions(kind, tmp_path):
    """Ranges, correlation and capacities are those published; the same seed, the same problem."""
    made = gap.make(kind, agents=5, jobs=60, seed=3)
    assert made.cost.shape == made.use.shape == (5, 60)
    assert np.array_equal(made.cost, gap.make(kind, agents=5, jobs=60, seed=3).cost)
    assert not np.array_equal(made.cost, gap.make(kind, agents=5, jobs=60, seed=4).cost)
    if kind in "cde":
        assert np.array_equal(made.capacity, np.floor(0.8 * made.use.sum(1) / 5))
    if kind in "abc":
        assert made.use.min() >= 5
        assert made.use.max() <= 25
        assert made.cost.min() >= 10
        assert made.cost.max() <= 50
    if kind == "d":
        assert np.abs(made.cost + made.use - 111).max() <= 10
    if kind == "e":
        assert made.use.min() >= 1
        assert np.abs(made.cost - 1000 / made.use + 5).max() <= 5.5
    gap.write(made, tmp_path / "made")
    (again,) = gap.problems(tmp_path / "made")
    for name in ("cost", "use", "capacity"):
        assert np.array_equal(getattr(again, name), getattr(made, name))


def test_types_a_and_b_have_the_librarys_capacity():
    """The file's capacity is the formula on the file's own costs and uses."""
    (problem,) = gap.problems(FOLDER / "b10100")
    cheapest = problem.cost.argmin(0)
    most = np.bincount(cheapest, problem.use[cheapest, np.arange(100)], 10).max()
    assert np.array_equal(
        problem.capacity, np.full(10, np.floor(0.7 * (9 * 100 / 10 + 0.4 * most)))
    )


@pytest.mark.parametrize("wrong", [{"kind": "f"}, {"agents": 0}, {"jobs": 0}])
def test_unknown_types_are_refused(wrong):
    """A kind that nobody published."""
    with pytest.raises(InputError, match="is of kind a, b, c, d, e"):
        gap.make(**({"kind": "c", "agents": 2, "jobs": 5, "seed": 0} | wrong))
