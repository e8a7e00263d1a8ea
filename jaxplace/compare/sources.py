"""Where a comparison's instances come from: folders of tables, files of assignment problems."""

from pathlib import Path

from jaxplace.compare import gap
from jaxplace.instance import Instance, Policy
from jaxplace.scenario import demo_folder, load_scenario


def instances(source: Path | None, *, hour: str | None, policy: Policy) -> dict[str, Instance]:
    """The instances of a source by name; a file of assignment problems may hold several.

    Args:
        source: a folder of tables, a file of assignment problems, or None: the bundled demo.
        hour: of the scenario; an assignment problem has none.
        policy: the scenario's; an assignment problem has none.

    Raises:
        InputError: it cannot be read.
    """
    if source is not None and source.is_file():
        return {problem.name: problem.instance() for problem in gap.problems(source)}
    scenario = load_scenario(demo_folder() if source is None else source)
    name = "demo" if source is None else source.resolve().name
    return {name: scenario.at(hour, policy)}
