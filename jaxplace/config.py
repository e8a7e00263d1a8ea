"""From the words of a command line to typed settings: the only module that knows Hydra.

Each command has a dataclass whose fields are its options (CONTRACT section 4).  Hydra composes it
with the files under `conf/` and refuses unknown keys and wrong types; what it says is put in words
here.  Nothing is written and no folder is made: that is the command's business, once the input is
known to be good.
"""

import copy
import dataclasses
import difflib
import functools
import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf, flag_override
from omegaconf.errors import OmegaConfBaseException

from jaxplace.errors import InputError
from jaxplace.instance import Policy
from jaxplace.options import Option, options
from jaxplace.replan.settings import ReplanSettings
from jaxplace.settings import Device, Settings
from jaxplace.studies.settings import AuditSettings, FrontierSettings


GROUPS = ("policy", "experiment")  # folders of conf/ from which most commands pick a file by name
ALIASES = {"replan": {"from": "start"}}  # `from` is a word of Python, so no field can have it
PATHS = frozenset(
    {"scenario", "out", "plan", "request", "region", "state", "replan.metrics"}
)  # taken as they are: no quoting of commas or braces
ALIKE = 0.6  # how much a word must resemble a name to be taken for a slip


def _mutable(frozen: type, name: str) -> type:
    """A twin of a frozen dataclass, with its checks: Hydra cannot compose into a frozen one."""
    fields = [(f.name, f.type, field(default=f.default)) for f in dataclasses.fields(frozen)]

    def check(self: Any) -> None:
        frozen(**vars(self))

    namespace = {"__doc__": frozen.__doc__, "__post_init__": check}
    return dataclasses.make_dataclass(name, fields, namespace=namespace)


PolicySchema = _mutable(Policy, "PolicySchema")


@dataclass
class SolveConfig(Settings):
    """Options of `solve`.

    Attributes:
        scenario: folder of tables; demo or null: the bundled demo scenario.
        hour: the hour of `signals` to plan, such as 2022-07-01T12:00 (UTC); null: its first.
        out: folder for the results; null: a new one under `outputs/`, named by date and time.
        json: print summary.json to stdout instead of the table.
        policy: what the operator wants.
    """

    scenario: str | None = None
    hour: str | None = None
    out: str | None = None
    json: bool = False
    policy: PolicySchema = field(default_factory=PolicySchema)  # type: ignore[valid-type]


@dataclass
class ReplanConfig(Settings):
    """Options of `replan`.

    Attributes:
        state: folder that keeps the plans, the history and what is committed; made if new.
        scenario: folder of tables; {hour} in it becomes the hour, as 2022-07-01T12; demo or null:
            the bundled demo scenario.
        hour: the hour to plan, such as 2022-07-01T12:00 (UTC); null: the one that the clock shows.
        start: first of several hours, instead of `hour`; `from=` means the same.
        hours: how many hours, with `from=`.
        redo: plan hours again that are committed already.
        dry_run: plan, and write nothing.
        json: print one JSON line an hour to stdout instead of the table.
        policy: what the operator wants.
        replan: how the loop treats its inputs and its state folder.
    """

    state: str | None = None
    scenario: str | None = None
    hour: str | None = None
    start: str | None = None
    hours: int | None = None
    redo: bool = False
    dry_run: bool = False
    json: bool = False
    policy: PolicySchema = field(default_factory=PolicySchema)  # type: ignore[valid-type]
    replan: ReplanSettings = field(default_factory=ReplanSettings)


@dataclass
class FrontierConfig(SolveConfig):
    """Options of `frontier`.

    Attributes:
        json: print frontier.json to stdout instead of the table.
        frontier: along which budgets, and what is drawn beside.
    """

    frontier: FrontierSettings = field(default_factory=FrontierSettings)


@dataclass
class AuditConfig(SolveConfig):
    """Options of `audit`.

    Attributes:
        json: print audit.json to stdout instead of the table.
        audit: what is closed in turn.
    """

    audit: AuditSettings = field(default_factory=AuditSettings)


@dataclass
class ExplainConfig(SolveConfig):
    """Options of `explain`.

    Attributes:
        request: id of the request to explain.
        region: id of the region to explain; one of the two is needed.
        plan: folder of an earlier solve, whose hour and policy then hold; null: solve first.
        out: folder for explain.html and explain.json; null: nothing is written.
        json: print the tables as JSON.
    """

    request: str | None = None
    region: str | None = None
    plan: str | None = None


@dataclass
class DoctorConfig:
    """Options of `doctor`.

    Attributes:
        device: where the self-test runs.
        json: print the findings as JSON.
    """

    device: Device = Device.auto
    json: bool = False


def schema_of(command: str) -> type:
    """The dataclass of a command's options."""
    if command == "generate":
        from jaxplace.generate import GenerateSettings  # keeps the world's tables out of `solve`

        return _with_out(GenerateSettings)
    if command == "compare":
        return _compare_schema()
    return {
        "solve": SolveConfig,
        "replan": ReplanConfig,
        "frontier": FrontierConfig,
        "audit": AuditConfig,
        "explain": ExplainConfig,
        "doctor": DoctorConfig,
    }[command]


@functools.cache
def _compare_schema() -> type:
    """`compare`'s options: its settings, what to compare on, and what to write."""
    from jaxplace.compare.settings import CompareSettings

    @dataclass
    class CompareConfig(CompareSettings):
        """Options of `compare`.

        Attributes:
            methods: the methods to run, such as [jaxplace,highs_lp]; empty: all of them.
            scenario: folder of tables, or a file of assignment problems; null: the demo.
            scenarios: several of them instead, such as [demo,my-tables,d10100].
            hour: the hour of `signals`, such as 2022-07-01T12:00 (UTC); null: its first.
            out: folder for the results; null: a new one under `outputs/`.
            json: print compare.json to stdout instead of the table.
            policy: what the operator wants.
        """

        methods: list[str] = field(default_factory=list)
        scenario: str | None = None
        scenarios: list[str] = field(default_factory=list)
        hour: str | None = None
        out: str | None = None
        json: bool = False
        policy: PolicySchema = field(default_factory=PolicySchema)  # type: ignore[valid-type]

    return CompareConfig


def _with_out(settings: type) -> type:
    """`generate`'s options: its settings and the folder to write to."""
    doc = """Options of `generate`.

    Attributes:
        out: folder for the new scenario; it must not exist, or be empty.
        json: print what was written as JSON.
    """
    extra = [("out", str | None, field(default=None)), ("json", bool, field(default=False))]
    return dataclasses.make_dataclass(
        "GenerateConfig", extra, bases=(settings,), namespace={"__doc__": doc}
    )


def conf_folder() -> Path:
    """`conf/`: inside an installed package, or beside it in a checkout."""
    here = Path(__file__).resolve().parent
    return here / "conf" if (here / "conf").is_dir() else here.parent / "conf"


def choices(group: str, command: str = "solve") -> list[str]:
    """Names of the files of a group, such as the policies, that a command takes.

    Experiments of other commands than `solve` are in a folder of the command's name.
    """
    below = f"{command}/" if group == "experiment" and command != "solve" else ""
    found = (conf_folder() / group / below).glob("*.yaml")
    return sorted(f"{below}{path.stem}" for path in found)


def groups(command: str) -> list[str]:
    """The groups that a command takes."""
    if command in ("generate", "doctor"):
        return []
    return [*(["compare"] if command == "compare" else []), *GROUPS]


def chosen(command: str, group: str) -> str | None:
    """The file of a group that a command takes unless told otherwise."""
    listed: Any = OmegaConf.load(conf_folder() / f"{command}.yaml")
    entries = [entry for entry in listed.defaults if not isinstance(entry, str)]
    return next((entry[group] for entry in entries if group in entry), None)


def load(command: str, words: list[str], folder: Path | None = None) -> tuple[Any, DictConfig]:
    """The command's settings, and the whole composed config with Hydra's own part.

    Args:
        command: its name.
        words: Hydra overrides, `key=value`.
        folder: a folder laid out like `conf/` that is looked through as well (`--config-dir`).

    Raises:
        InputError: unknown keys, wrong types, values out of range, missing files; all at once.
    """
    schema = schema_of(command)
    known = options(schema)
    words = [_literal(_unaliased(command, word)) for word in words]
    words, faults = _check_keys(command, words, known)
    if folder is not None and not folder.is_dir():
        raise InputError(f"`--config-dir {folder}` is not a folder. Name one like conf/", *faults)
    if folder is not None:
        words = [*words, f"hydra.searchpath=[{_quoted('file://' + str(folder.resolve()))}]"]
    store = ConfigStore.instance()
    store.store(name=f"{command}_schema", node=schema)
    whole = _compose(command, words, known, faults)
    own = _own_part(whole)
    for option in known:
        value = OmegaConf.select(own, option.key)
        if isinstance(value, str) and not value.strip():
            faults.append(
                f"`{option.key}=` is empty. Give a value, or leave the option out. "
                f"It is: {option.meaning}"
            )
    built = _build(command, own, known, words, faults)
    if faults:
        raise InputError(*faults)
    return built, whole


def _compose(command: str, words: list[str], known: list[Option], faults: list[str]) -> DictConfig:
    """The whole config; a word that Hydra refuses is added to the faults and left out."""
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(conf_folder()), version_base="1.3", job_name=command):
        while True:
            try:
                return compose(command, words, return_hydra_config=True)
            except (HydraException, OmegaConfBaseException) as error:
                key, fault = _in_words(command, error, known, words)
                faults.append(fault)
                rest = [word for word in words if word.partition("=")[0] != key]
                if rest == words:  # the fault is in a file, so there is nothing to go on with
                    raise InputError(*faults) from error
                words = rest


def _build(
    command: str, own: DictConfig, known: list[Option], words: list[str], faults: list[str]
) -> Any:
    """The command's settings; values out of range are added to the faults, branch by branch."""
    for branch in [key for key in own if OmegaConf.is_dict(own[key])]:
        try:
            OmegaConf.to_object(own[branch])
        except InputError as error:
            faults += error.faults
            own[branch] = OmegaConf.structured(OmegaConf.get_type(own[branch]))
    try:
        return OmegaConf.to_object(own)
    except InputError as error:
        faults += error.faults
        return None
    except OmegaConfBaseException as error:
        raise InputError(*faults, _in_words(command, error, known, words)[1]) from error


def run_folder(whole: DictConfig) -> Path:
    """Hydra's run folder, `outputs/DATE/TIME`, numbered where a run of that second has it."""
    folder = Path(str(whole.hydra.run.dir))
    names = (folder.with_name(f"{folder.name}-{k}") for k in range(2, 10_000))
    return folder if not folder.exists() else next(n for n in names if not n.exists())


def _own_part(whole: DictConfig) -> DictConfig:
    """The config without Hydra's part; it keeps its type, which `masked_copy` would lose."""
    own = copy.deepcopy(whole)
    with flag_override(own, ["struct", "readonly"], [False, False]):
        own.pop("hydra")
    return own


def composed(command: str, words: list[str], folder: Path | None = None) -> str:
    """The composed config as YAML (`--cfg`)."""
    _, whole = load(command, words, folder)
    return as_yaml(whole)


def as_yaml(whole: DictConfig) -> str:
    """The options of a composed config as YAML."""
    return OmegaConf.to_yaml(_own_part(whole), resolve=True)


def scenario_of(plan: Path) -> str | None:
    """The scenario that a run's folder was solved for, where its `config.yaml` says so."""
    try:
        kept: Any = OmegaConf.load(plan / "config.yaml")
        return kept.get("scenario")
    except (OSError, ValueError, AttributeError, OmegaConfBaseException):
        return None


def policy(config: SolveConfig | ReplanConfig) -> Policy:
    """The policy of a composed config.

    Raises:
        InputError: a value out of range.
    """
    return Policy(**{f.name: getattr(config.policy, f.name) for f in dataclasses.fields(Policy)})


def settings(config: SolveConfig | ReplanConfig) -> Settings:
    """The settings of a composed config."""
    return Settings(**{f.name: getattr(config, f.name) for f in dataclasses.fields(Settings)})


def _quoted(value: str) -> str:
    """A text as one quoted value of Hydra's grammar."""
    return "'" + re.sub(r"(\\+)(?='|$)", r"\1\1", value).replace("'", "\\'") + "'"


def _unaliased(command: str, word: str) -> str:
    """The word under its option's own name."""
    key, sign, value = word.partition("=")
    return ALIASES.get(command, {}).get(key, key) + sign + value


def _literal(word: str) -> str:
    """Paths are taken as they stand; everything else is Hydra's grammar."""
    key, sign, value = word.partition("=")
    quoted = len(value) > 1 and value[0] in "'\"" and value[-1] == value[0]
    if not sign or key not in PATHS or value in ("", "null") or quoted:
        return word
    return f"{key}={_quoted(os.path.expanduser(value))}"


def _check_keys(command: str, words: list[str], known: list[Option]) -> tuple[list[str], list[str]]:
    """The words that name an option, and what is wrong with the others."""
    keys = [option.key for option in known]
    branches = {key.rpartition(".")[0] for key in keys} - {""}
    good: list[str] = []
    faults: list[str] = []
    for word in words:
        try:
            override = OverridesParser.create().parse_override(word)
        except HydraException:
            faults.append(_unreadable(word, keys))
            continue
        key = override.key_or_group
        if override.is_sweep_override():
            faults.append(f"`{word}`: a list of values cannot be swept over; quote it if it is one")
        elif override.is_delete():
            faults.append(f"`{word}`: an option cannot be removed. Leave it out")
        elif key in groups(command) and _is_none(command, key, override.value()):
            good = [w for w in good if w.partition("=")[0] != key]  # Hydra cannot be told so
        elif key in groups(command) and not (
            override.value() and isinstance(override.value(), str)
        ):
            faults.append(f"`{word}`: name one of {', '.join(choices(key, command))}")
        elif key not in keys and key not in groups(command) and not key.startswith("hydra."):
            near = difflib.get_close_matches(key, [*keys, *groups(command)], 1, ALIKE)
            hint = f"Did you mean `{near[0]}`?" if near else ""
            if key in branches:
                hint = f"Name one of its options, such as `{key}.{_first_below(key, keys)}`."
            faults.append(
                f"`{key}` is no option of `jaxplace {command}`. {hint} "
                f"`jaxplace {command} --help` lists them".replace(".  ", ". ")
            )
        else:
            good.append(word)
    return good, faults


def _is_none(command: str, group: str, value: object) -> bool:
    """Whether no file of the group is asked for, and none is needed."""
    return value is None and chosen(command, group) is None


def _first_below(branch: str, keys: list[str]) -> str:
    """The first option below a branch."""
    return next(k for k in keys if k.startswith(branch + ".")).removeprefix(branch + ".")


def _unreadable(word: str, keys: list[str]) -> str:
    """The message for a word that is no override."""
    if "=" not in word and "scenario" in keys and (word == "demo" or Path(word).is_dir()):
        return f"`{word}`: options are written as `key=value`. Did you mean `scenario={word}`?"
    if "=" not in word:
        return f"`{word}`: options are written as `key=value`, such as `gap_target=1e-3`"
    key, _, value = word.partition("=")
    return f"`{word}`: the value cannot be read. Quote it: \"{key}='{value}'\""


def _in_words(
    command: str, error: Exception, known: list[Option], words: list[str]
) -> tuple[str, str]:
    """The key that Hydra or OmegaConf refused ("" if unknown) and why, in words of this program."""
    inner: BaseException | None = error
    while inner is not None and not isinstance(inner, OmegaConfBaseException):
        inner = inner.__cause__ or inner.__context__
    lines = str(error if inner is None else inner).splitlines() or [type(error).__name__]
    key = getattr(inner, "full_key", None) or ""
    option = next((o for o in known if o.key == key), None)
    if option is not None:
        given = next((w.partition("=")[2] for w in words if w.partition("=")[0] == key), None)
        came = "" if given is None else f" Got {given}."
        kind = " or ".join(option.choices) or option.kind
        return key, f"`{key}` must be of type {kind}.{came} It is: {option.meaning}"
    missing = re.search(r"'(\w+)/([^']+)'", lines[0])
    if missing and missing[1] in groups(command):
        group, name = missing.groups()
        names = choices(group, command)
        near = difflib.get_close_matches(name, names, 1, ALIKE)
        hint = f" Did you mean `{near[0]}`?" if near else ""
        listed = ", ".join(names)
        return group, f"`{group}={name}`: no such {group}.{hint} There are {listed}"
    return "", " ".join(line.strip() for line in lines if line.strip())
