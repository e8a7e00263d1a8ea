"""Where a comparison's instances come from: folders of tables, files of assignment problems."""

from pathlib import Path

from jaxplace.compare import gap
from jaxplace.instance import Instance, Policy
from jaxplace.scenario import load_scenario


def instances(source: Path, *, hour: str | None, policy: Policy) -> dict[str, Instance]:
    """The instances of a source by name; a file of assignment problems may hold several.

    Args:
        source: a folder of tables, or a file of assignment problems.
        hour: of the scenario; an assignment problem has none.
        policy: the scenario's; an assignment problem has none.

    Raises:
        InputError: it cannot be read.
    """
    if source.is_file():
        return {problem.name: problem.instance() for problem in gap.problems(source)}
    return {source.resolve().name: load_scenario(source).at(hour, policy)}
