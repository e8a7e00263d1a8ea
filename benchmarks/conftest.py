"""Instances of the benchmarks: the demo and generated scenarios, made once per session."""

import pytest

from jaxplace import runtime


runtime.prepare()  # the compile cache, as the command line has it

from jaxplace import demo_folder, load_scenario  # noqa: E402  after JAX's environment is set
from jaxplace.generate import GenerateSettings, generate  # noqa: E402


@pytest.fixture(scope="session")
def instance_of(tmp_path_factory):
    """A function from a name, "demo" or a size of `jaxplace generate`, to its first hour."""
    made = {}

    def get(name):
        if name not in made:
            folder = demo_folder()
            if name != "demo":
                folder = tmp_path_factory.mktemp("scenarios") / name
                generate(GenerateSettings(size=name, seed=7), folder)
            made[name] = load_scenario(folder).at()
        return made[name]

    return get
