"""The pages in a real browser: no console errors, sorting and filtering work, phones need no pan.

Needs Chromium or Chrome (`BROWSER` names another one), or the tests are skipped.  A page is
put into a frame of the width that is tested, worked by a script as a reader would, and the finished
document, which holds what the script saw, is printed by the browser.
"""

import html
import json
import os
import re
import shutil
import subprocess

import placements
import pytest
from studies import cases

import jaxplace
from jaxplace import report
from jaxplace.studies import audit_page, explain_page, frontier_page
from jaxplace.studies.breakeven import break_even
from jaxplace.studies.homes import homes


NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome", "chrome-headless-shell")
BROWSER = os.environ.get("BROWSER") or next(filter(None, map(shutil.which, NAMES)), None)
pytestmark = pytest.mark.skipif(
    BROWSER is None, reason="no browser: install chromium, or name one in BROWSER"
)
PAGES = ("report", "frontier", "audit", "explain request", "explain region")
FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--no-first-run")
WATCH = """<script>
const seen = parent.seen;
addEventListener("error", e => seen.errors.push(e.message));
for (const kind of ["error", "warn"]) console[kind] = (...a) => seen.errors.push(a.join(" "));
</script>"""
HARNESS = """<!doctype html><meta charset="utf-8"><script>
const seen = {errors: [], tables: {}};
function work() {
  const page = document.querySelector("iframe").contentDocument;
  seen.pan = page.documentElement.scrollWidth > page.documentElement.clientWidth;
  seen.scripts = page.scripts.length - 1;
  for (const table of page.querySelectorAll("table.data")) {
    const rows = () => [...table.tBodies[0].rows], head = [...table.tHead.rows[0].cells];
    const k = head.findIndex(h => h.classList.contains("right"));
    const at = () => rows().map(r => Number(r.cells[k].dataset.v)).filter(v => !Number.isNaN(v));
    head[k].querySelector("button").click();
    const down = at(), said = head[k].getAttribute("aria-sort");
    head[k].querySelector("button").click();
    const up = at(), filter = page.getElementById(table.id + "-filter");
    filter.value = rows()[0].cells[0].textContent;
    filter.dispatchEvent(new Event("input"));
    const first = rows()[0].hidden;
    const left = rows().filter(r => !r.hidden).length;
    filter.value = "nothing is called this";
    filter.dispatchEvent(new Event("input"));
    const none = rows().filter(r => !r.hidden).length;
    const count = page.getElementById(table.id + "-count").textContent;
    seen.tables[table.id] = {down, up, said, first, left, none, count, rows: rows().length};
  }
  document.getElementById("seen").textContent = JSON.stringify(seen);
}
</script><pre id="seen"></pre><iframe style="width:WIDTHpx;height:900px;border:0" onload="work()"
srcdoc="PAGE"></iframe>"""


def pages():
    """A page of each kind, its ids as hostile as its tables allow."""
    case = placements.instance(region_prefix=cases.EVIL)
    instance = cases.fleet(n=60, m=12, prefix=cases.EVIL).at()
    options = jaxplace.FrontierSettings(
        scale=[0.5, 1.0, 2.0], carbon_prices=[0.0, 90.0], unlimited=True, ladder=True
    )
    found = jaxplace.frontier(instance, options=options)
    table = next(break_even(found.last, homes(instance)))
    return {
        "report": report.render(placements.placement(case)),
        "frontier": frontier_page.render(found, table, len(table)),
        "audit": audit_page.render(jaxplace.audit(instance)),
        "explain request": explain_page.render(
            jaxplace.explain(found.last, request=instance.request_id[7]), found.last
        ),
        "explain region": explain_page.render(
            jaxplace.explain(found.last, region=instance.region_id[3]), found.last
        ),
    }


@pytest.fixture(scope="module")
def made():
    """The pages' texts by name."""
    return pages()


def browse(folder, path, *flags):
    """What the browser prints about a file."""
    line = [BROWSER, *FLAGS, f"--user-data-dir={folder / 'profile'}", *flags, path.as_uri()]
    done = subprocess.run(line, capture_output=True, text=True, timeout=120, check=True)
    return done.stdout


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("name", PAGES)
def test_page_works(made, name, width, tmp_path):
    """Nothing is logged, no id becomes a script, tables sort and filter, no sideways scrolling."""
    page = made[name].replace('<meta charset="utf-8">', '<meta charset="utf-8">' + WATCH, 1)
    text = HARNESS.replace("WIDTH", str(width)).replace("PAGE", html.escape(page, quote=True))
    file = tmp_path / "page.html"
    file.write_text(text, encoding="utf-8")
    printed = browse(tmp_path, file, "--dump-dom", "--virtual-time-budget=10000")
    seen = json.loads(html.unescape(re.search(r'<pre id="seen">(.*?)</pre>', printed, re.S)[1]))
    assert seen["errors"] == []
    assert seen["scripts"] == 1
    assert not seen["pan"]
    assert seen["tables"]
    for table in seen["tables"].values():
        assert table["down"] == sorted(table["down"], reverse=True)
        assert table["up"] == sorted(table["up"])
        assert table["said"] == "descending"
        assert not table["first"]
        assert 1 <= table["left"] <= table["rows"]
        assert table["none"] == 0
        assert table["count"].startswith("0 of")


@pytest.mark.parametrize("name", PAGES)
def test_screenshot(made, name, tmp_path):
    """The browser draws the page: the picture is more than an empty one."""
    file, image = tmp_path / "page.html", tmp_path / "page.png"
    file.write_text(made[name], encoding="utf-8")
    browse(tmp_path, file, f"--screenshot={image}", "--window-size=1200,1600")
    assert image.stat().st_size > 30_000


def test_pages_are_self_contained(made):
    """No page names an address that a browser would fetch."""
    for page in made.values():
        addresses = re.findall(r'(?:src|href)="([^"]*)"', page)
        assert all(a.startswith("#") or a == "data:," for a in addresses)
        assert "url(" not in page
        assert "alert('x')" not in page
        assert len(page) < 3_000_000
