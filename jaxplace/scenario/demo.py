"""Where the bundled demo scenario lies."""

from importlib import resources
from pathlib import Path


def demo_folder() -> Path:
    """The folder of the bundled demo scenario: tables like any other scenario's."""
    return Path(str(resources.files("jaxplace").joinpath("demo")))
