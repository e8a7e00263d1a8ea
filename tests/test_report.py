"""The page: whole, self-contained, harmless whatever the ids are, and bounded in size."""

import html.parser
import re
from dataclasses import replace

import numpy as np
import placements
import pytest

from jaxplace import report
from jaxplace.report import charts, tables, words, world
from jaxplace.status import Status


VOID = {"meta", "input", "br", "link", "img"}


class Checker(html.parser.HTMLParser):
    """Collects tags and ids, and fails on tags that do not nest."""

    def __init__(self):
        super().__init__()
        self.open, self.tags, self.ids, self.attributes = [], [], [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs
        self.ids += [v for k, v in attrs if k == "id"]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def checked(page):
    """The parsed page; every tag is closed and every id unique."""
    checker = Checker()
    checker.feed(page)
    assert checker.open == []
    assert len(set(checker.ids)) == len(checker.ids)
    return checker


def test_page_is_whole_and_fetches_nothing():
    """Tags nest, ids are unique, and no attribute names an address elsewhere."""
    page = report.render(placements.placement())
    found = checked(page)
    assert not [
        v for k, v in found.attributes if k in ("src", "href") and v[0] != "#" and v != "data:,"
    ]
    assert "url(" not in page
    assert "@import" not in page
    for name in ("What is proven", "Saved", "Where it runs", "Cost", "Regions", "Policy"):
        assert name in page


def test_ids_are_harmless():
    """A region called like a script, an origin or note with quotes, does nothing."""
    evil = "\"><script>alert('x')</script>"
    case = placements.instance(region_prefix=evil)
    case = replace(case, notes=(evil,), places=replace(case.places, assumptions=(evil,)))
    page = report.render(placements.placement(case))
    assert checked(page).tags.count("script") == 1
    assert "alert('x')" not in page


def test_dense_instance_has_no_map():
    """Without places there is no map, and the rest is there."""
    case = placements.instance()
    page = report.render(placements.placement(replace(case, places=None)))
    checked(page)
    assert "Where it runs" not in page
    assert "<h2" in page


def test_from_arrays_renders():
    """A cost matrix, whose cost has no parts, gets its page."""
    page = report.render(placements.placement(placements.dense()))
    checked(page)
    assert "part-cost" in page


def test_tables_work_without_a_mouse():
    """Heads are buttons with aria-sort, pictures have titles, the filter has a label."""
    page = report.render(placements.placement())
    found = checked(page)
    assert ("aria-sort", "none") in found.attributes
    assert page.count('role="img"') == page.count("-title</title>") or "aria-labelledby" in page
    assert re.search(r"<label>Filter <input", page)
    assert '<html lang="en">' in page
    assert "prefers-color-scheme:dark" in page


def test_size_is_bounded():
    """1,000 regions and 5,000 requests stay far under 10 MB."""
    case = placements.instance(5000, 1000, origins=400)
    assert len(report.render(placements.placement(case))) < 3_000_000


def test_regions_beyond_the_limit_are_counted(monkeypatch):
    """Where rows are cut, the page says how many there are and where the rest is."""
    monkeypatch.setattr(tables, "MOST_ROWS", 4)
    monkeypatch.setattr(world, "MOST_REGIONS", 3)
    page = report.render(placements.placement())
    assert "4 regions of 9; the rest is in regions.parquet" in page
    assert "The 3 busiest of 9 regions are drawn" in page


@pytest.mark.parametrize("steps", [0, 1, 12])
def test_convergence_with_any_log(steps):
    """No log, one line, many lines: a picture or a sentence."""
    found = placements.placement()
    image = charts.convergence(replace(found, trace=found.trace[:steps]))
    assert ("<svg" in image) == (steps > 1)
    assert "nan" not in image


def test_no_baselines_no_units():
    """A plan without baselines, duals or load still has a page."""
    found = placements.placement()
    zero = np.zeros_like
    proof = replace(found.certificate, load=zero(found.certificate.load), objective_usd=0.0)
    bare = replace(
        found,
        baselines={},
        certificate=replace(proof, cost={"energy_usd": 0.0}),
        duals=replace(found.duals, capacity=zero(found.duals.capacity)),
    )
    page = report.render(bare)
    checked(page)
    assert "No baseline was computed" in page


def test_infeasible_plan_says_so():
    """The words of an infeasible plan are its violations."""
    found = placements.placement()
    broken = replace(found.certificate, feasible=False, violations=("3 capacities exceeded",))
    broken = replace(broken, gap=float("inf"))
    text = report.statement(replace(found, certificate=broken))
    assert text == "This plan breaks the rules: 3 capacities exceeded."
    assert "Not feasible" in report.render(replace(found, certificate=broken))


@pytest.mark.parametrize("status", Status)
def test_badge_is_green_only_at_the_target(status):
    """A feasible plan whose gap missed the target has an amber badge that says so."""
    page = report.render(replace(placements.placement(), status=status))
    reached = status is Status.converged
    assert ('class="badge good"' in page) == reached
    assert ('class="badge warn">Feasible, gap target missed (gap 0.04 %)' in page) != reached


def test_binding_regions_fall_by_the_dual():
    """Each resource's regions come by falling dual; those without capacity are left out."""
    found = placements.placement()
    duals, capacity = found.duals.capacity.copy(), found.instance.capacity.copy()
    duals[3], capacity[3] = 9.0, 0.0
    case = replace(found.instance, capacity=capacity)
    found = replace(found, instance=case, duals=replace(found.duals, capacity=duals))
    picked = words.binding(found)
    assert [r for _, r in picked] == sorted(r for _, r in picked)
    for r in range(2):
        shown = [duals[j, r] for j, k in picked if k == r]
        assert shown == sorted(np.delete(duals[:, r], 3), reverse=True)[: len(shown)]
        assert min(shown) > 0
    page = report.render(found)
    checked(page)
    assert page.count(words.BINDING) == 2  # its heading and its label


def test_no_gap_where_the_objective_is_zero():
    """An objective of 0 above a negative bound has a slack and no share."""
    found = placements.placement()
    proof = replace(found.certificate, objective_usd=0.0, lower_bound_usd=-2.0, gap=np.inf)
    found = replace(found, certificate=proof, status=Status.stalled)
    assert "at most 2 USD could still be saved" in report.statement(found)
    assert "inf" not in re.findall(r'class="badge[^<]*', report.render(found))[0]


def test_savings_put_the_nearest_first():
    """Savings are baseline less plan, and shares are of the baseline."""
    found = placements.placement()
    turned = replace(found, baselines=dict(reversed(found.baselines.items())))
    first = words.savings(turned)[0]
    assert first.name == "nearest region"
    assert first.share == pytest.approx(0.31 / 1.31)
    assert first.kwh == pytest.approx(found.certificate.kwh * 0.31 / 3)


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        (0.0, "0"),
        (None, "n/a"),
        (float("nan"), "n/a"),
        (float("inf"), "inf"),
        (-1234.567, "-1,235"),
        (0.00012345, "0.0001234"),
        (1e-9, "1.00e-09"),
        (1e15, "1.000e+15"),
        (1500.0, "1,500"),
    ],
)
def test_numbers(value, wanted):
    """Four significant digits, thousands separated, no trailing zeros."""
    assert words.number(value) == wanted


def test_shades_span_the_duals():
    """No dual is shade 0, the largest is the last."""
    assert world.shades(np.array([0.0, 1e-9, 1.0])).tolist() == [0, 1, world.SHADES]
    assert world.shades(np.zeros(2)).tolist() == [0, 0]
