"""Fixtures of the benchmarks, and what pytest-benchmark's JSON says beside the times.

What takes more than ten minutes or 10 GiB is marked `huge` and runs with `-m huge` only.
"""

import pytest

from jaxplace import runtime


runtime.prepare()  # the compile cache, as the command line has it

from benchmarks import common  # noqa: E402  after JAX's environment is set
from jaxplace import load_scenario  # noqa: E402


def pytest_configure(config):
    config.addinivalue_line("markers", "huge: more than ten minutes or 10 GiB; needs `-m huge`")


def pytest_collection_modifyitems(config, items):
    """Leave the huge ones out unless `-m` says something about them."""
    if "huge" not in config.option.markexpr:
        huge = [item for item in items if item.get_closest_marker("huge")]
        items[:] = [item for item in items if item not in huge]
        config.hook.pytest_deselected(items=huge)


def pytest_benchmark_update_json(config, benchmarks, output_json):
    """Each row names code, machine and command; what the host adds is cut."""
    known = common.facts()
    output_json["machine_info"].get("cpu", {}).pop("flags", None)
    for row in output_json["benchmarks"]:
        row["extra_info"] = {**known, **row["extra_info"]}
        row.pop("options", None)


@pytest.fixture(scope="session")
def scenarios(tmp_path_factory):
    """Where scenarios come from."""
    return common.Scenarios(tmp_path_factory.mktemp("scenarios"))


@pytest.fixture(scope="session")
def solver(tmp_path_factory):
    """Whole solves, with caches that are this session's own."""
    return common.Solver(tmp_path_factory.mktemp("solves"))


@pytest.fixture(scope="session")
def instance_of(scenarios):
    """A function from a scenario's name to its first hour; the last one is kept."""
    made = {}

    def get(name):
        if name not in made:
            made.clear()
            made[name] = load_scenario(scenarios.get(name)).at()
        return made[name]

    return get
