"""Where the bundled demo scenario lies."""

from importlib import resources
from pathlib import Path


DEMO = "demo"  # name of the bundled scenario


def demo_folder() -> Path:
    """The folder of the bundled demo scenario: tables like any other scenario's."""
    return Path(str(resources.files("jaxplace").joinpath("demo")))


def folder_of(scenario: str | None) -> Path:
    """The folder that a command's `scenario` means: the demo by default.

    "demo" names the bundled one where no folder of that name is there.
    """
    bundled = scenario is None or (scenario == DEMO and not Path(scenario).exists())
    return demo_folder() if bundled else Path(str(scenario))
