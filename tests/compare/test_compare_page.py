"""docs/compare.md: its tables are what the script makes of the committed results."""

import re
import runpy
from pathlib import Path

import pytest

from jaxplace.compare.methods import METHODS


ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "compare.md"


@pytest.fixture(scope="module")
def script():
    """The script's names."""
    return runpy.run_path(str(ROOT / "scripts" / "compare_page.py"))


def test_the_page_is_what_the_script_makes(script):
    """Otherwise run `python scripts/compare_page.py`."""
    text = PAGE.read_text()
    assert set(script["NAMES"]) == set(re.findall(r"<!-- begin: ([\w-]+) -->", text))
    assert script["page"](text) == text


def test_every_published_run_has_an_experiment(script):
    """What is published can be repeated."""
    for name in script["NAMES"]:
        assert (ROOT / "conf" / "experiment" / "compare" / f"{name}.yaml").is_file()


def test_every_method_is_explained():
    """The table of methods has them all."""
    table = PAGE.read_text().partition("## Methods")[2].partition("## Rules")[0]
    assert set(METHODS) <= set(re.findall(r"`(\w+)`", table))
