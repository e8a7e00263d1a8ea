"""README and docs: the Python runs, the commands and options exist, the links lead somewhere."""

import re
import shlex
import tomllib
from pathlib import Path

import pytest

import jaxplace
from jaxplace import cli, config
from jaxplace.options import options


ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
README = PAGES[0].read_text()


def blocks(page, language):
    """The text of the page's fenced blocks of a language."""
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(), re.DOTALL | re.MULTILINE)


def commands():
    """Every `jaxplace ...` line of the pages' shell blocks, as words after `jaxplace`."""
    for page in PAGES:
        for line in "".join(blocks(page, "sh")).splitlines():
            for part in line.split("&&"):
                words = shlex.split(part, comments=True)
                if words[:1] == ["jaxplace"]:
                    yield words[1:]


@pytest.mark.parametrize("page", [p for p in PAGES if blocks(p, "python")], ids=lambda p: p.name)
def test_python_runs(page, tmp_path, monkeypatch):
    """A page's Python blocks run in order, as a reader would; their asserts hold."""
    monkeypatch.chdir(tmp_path)
    names = {}
    for k, block in enumerate(blocks(page, "python")):
        exec(compile(block, f"{page.name}, block {k + 1}", "exec"), names)


@pytest.mark.parametrize("words", list(commands()), ids=" ".join)
def test_commands_are_accepted(words):
    """A command shown on a page exists, and so does every option that it is given."""
    command, *rest = words
    assert command in cli.COMMANDS
    config.load(command, rest)


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_links_lead_somewhere(page):
    """Files that a page links to are there."""
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text()):
        if "://" not in target:
            assert (page.parent / target).is_file(), target


def test_readme_agrees_with_the_project():
    """Python version, extras, JAX's CUDA version and the package's version are pyproject's."""
    assert f"Python {PROJECT['requires-python'].removeprefix('>=')} or later" in README
    assert set(re.findall(r"-e '\.\[(\w+)\]'", README)) <= set(PROJECT["optional-dependencies"])
    cuda = re.search(r"cuda(\d+)", PROJECT["optional-dependencies"]["cuda"][0])[1]
    assert f"CUDA {cuda}" in README
    assert set(re.findall(r"[Vv]ersion (\d+\.\d+\.\d+)", README)) <= {PROJECT["version"]}
    assert f"## [{PROJECT['version']}]" in (ROOT / "CHANGELOG.md").read_text()


def test_cli_page_has_every_option_and_default():
    """docs/cli.md lists all options of `solve`, with their defaults, and all commands."""
    text = (ROOT / "docs" / "cli.md").read_text()
    rows = dict(re.findall(r"^\| `([\w.]+)` \| ([^|]+?) \|", text, re.MULTILINE))
    assert set(cli.COMMANDS) <= set(rows)
    for option in options(config.schema_of("solve")):
        shown = rows[option.key]
        if option.default == "null":
            continue
        try:
            assert float(shown) == float(option.default), option.key
        except ValueError:
            assert shown == option.default, option.key


def test_cli_page_has_every_policy():
    """docs/cli.md names the policies that are shipped."""
    text = (ROOT / "docs" / "cli.md").read_text()
    assert all(f"`{name}`" in text for name in config.choices("policy"))


def test_architecture_has_every_module():
    """docs/architecture.md gives every module of the package a layer."""
    text = (ROOT / "docs" / "architecture.md").read_text()
    home = Path(jaxplace.__file__).parent
    modules = {p.stem for p in home.glob("*.py")} | {
        p.parent.name for p in home.glob("*/__init__.py")
    }
    for name in modules - {"__init__"}:
        assert f"`{name}`" in text, name
