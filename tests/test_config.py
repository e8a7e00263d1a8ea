"""Options: every file composes, every mistake is refused with what to do."""

import dataclasses
import math
from pathlib import Path

import pytest

from jaxplace import config
from jaxplace.cli import COMMANDS as ALL_COMMANDS
from jaxplace.errors import InputError
from jaxplace.instance import Policy
from jaxplace.options import options
from jaxplace.settings import Device, Method, Settings, SolverSettings


COMMANDS = [command for command in ALL_COMMANDS if command != "completion"]


def refused(*words):
    """The faults of these words."""
    try:
        config.policy(config.load("solve", list(words))[0])
    except InputError as error:
        return error.faults
    return ()


def test_defaults_are_the_classes():
    """Without a word, settings and policy are those of Python."""
    built, _ = config.load("solve", [])
    assert config.settings(built) == Settings()
    assert config.policy(built) == Policy()


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_compose(command):
    """Each command's own file composes into its schema."""
    built, _ = config.load(command, [])
    assert isinstance(built, config.schema_of(command)) or command == "generate"
    assert (config.conf_folder() / f"{command}.yaml").is_file()


@pytest.mark.parametrize("group", config.GROUPS)
def test_every_file_composes(group):
    """Every file of conf/ composes, builds, and has a comment that says what it is."""
    names = config.choices(group)
    assert names
    for name in names:
        built, _ = config.load("solve", [f"{group}={name}"])
        config.policy(built)
        config.settings(built)
        text = (config.conf_folder() / group / f"{name}.yaml").read_text()
        assert text.startswith("#")


def test_experiments_pin_their_seed():
    """An experiment's number can only be repeated with its seed."""
    for path in (config.conf_folder() / "experiment").glob("*.yaml"):
        assert "\nseed:" in path.read_text()


def test_values_are_typed():
    """Numbers, enums and none arrive as such."""
    words = ["gap_target=1e-4", "device=cpu", "solver.method=first_order", "policy.max_moves=10"]
    built, _ = config.load("solve", [*words, "policy=carbon-aware", "policy.headroom=0.1"])
    settings, policy = config.settings(built), config.policy(built)
    assert settings.gap_target == 1e-4
    assert settings.device is Device.cpu
    assert settings.solver.method is Method.first_order
    assert (policy.max_moves, policy.headroom, policy.carbon_price_usd_per_t) == (10, 0.1, 80)


@pytest.mark.parametrize(
    "path", ["a b", "a,b", "x={hour}", "it's", "[1]", "(", "a=b", "back\\slash", "$HOME"]
)
def test_paths_are_taken_as_they_are(path):
    """A path needs no quoting for Hydra's sake."""
    built, _ = config.load("solve", [f"scenario={path}", "out=null"])
    assert built.scenario == path
    assert built.out is None


@pytest.mark.parametrize(
    ("word", "wanted"),
    [
        ("gap_targt=1", "Did you mean `gap_target`"),
        ("policy.hedroom=1", "Did you mean `policy.headroom`"),
        ("+gap=1", "is no option"),
        ("gap_target=tight", "must be of type number. Got tight"),
        ("seed=1.5", "must be of type integer"),
        ("device=tpu", "auto or cpu or gpu"),
        ("policy=carbon", "Did you mean `carbon-aware`"),
        ("policy=null", "name one of"),
        ("policy=", "name one of"),
        ("experiment=", "name one of"),
        ("policy=green", "no such policy. There are"),
        ("scenario=", "`scenario=` is empty"),
        ("hour=''", "`hour=` is empty"),
        ("demo", "Did you mean `scenario=demo`"),
        ("solver=1", "such as `solver."),
        ("~seed", "cannot be removed"),
        ("hour=a,b", "cannot be swept"),
        ("hour=(", "cannot be read"),
        ("fast", "key=value"),
        ("seed=null", "must be of type integer"),
        ("gap_target=2", "a share in [0, 1)"),
        ("gap_target=nan", "a share in [0, 1)"),
        ("time_limit_s=0", "above 0 s"),
        ("solver.max_steps=0", ">= 1"),
        ("policy.headroom=1", "below 1"),
    ],
)
def test_mistakes_are_refused(word, wanted):
    """Each mistake has one message that says what to do."""
    faults = refused(word)
    assert len(faults) == 1
    assert wanted in faults[0]


def test_all_faults_at_once():
    """Unknown keys are reported together, and so are values out of range."""
    assert len(refused("a=1", "b=2")) == 2
    assert len(refused("gap_target=-1", "time_limit_s=0")) == 2


def test_all_kinds_of_faults_at_once():
    """Keys, types, files and ranges, of every branch, are reported together."""
    words = ["policy.headroom=1.5", "policy.move_usd=-1", "gap_target=2"]
    faults = "\n".join(refused(*words))
    assert all(key in faults for key in ("policy.headroom", "policy.move_usd", "gap_target"))
    words = ["a=1", "seed=x", "policy=green", "hour=", "solver.max_steps=0", "policy.headroom=1"]
    assert len(refused(*words)) == 6


def test_policy_collects_its_faults():
    """From Python, too, a policy names everything that is wrong with it."""
    with pytest.raises(InputError) as caught:
        Policy(headroom=1.5, move_usd=-1.0, max_moves=math.inf)
    assert len(caught.value.faults) == 3
    with pytest.raises(InputError) as caught:
        Policy(headroom=math.inf)
    assert len(caught.value.faults) == 1


def test_no_experiment():
    """`experiment=null`, the default that --help shows, can be typed, and takes one back."""
    plain, _ = config.load("solve", [])
    assert config.load("solve", ["experiment=null"])[0] == plain
    words = ["experiment=demo-carbon", "experiment=null"]
    assert config.load("solve", words)[0] == plain
    assert config.chosen("solve", "policy") == "default"


def test_own_folder(tmp_path):
    """--config-dir adds policies of the user's own."""
    (tmp_path / "policy").mkdir()
    (tmp_path / "policy" / "mine.yaml").write_text("headroom: 0.25\n")
    built, _ = config.load("solve", ["policy=mine"], tmp_path)
    assert config.policy(built).headroom == 0.25
    with pytest.raises(InputError, match="config-dir"):
        config.load("solve", [], tmp_path / "nowhere")


def test_typo_in_a_file(tmp_path):
    """A policy file's own typo is refused too, by name."""
    (tmp_path / "policy").mkdir()
    (tmp_path / "policy" / "mine.yaml").write_text("hedroom: 0.25\n")
    with pytest.raises(InputError, match="hedroom"):
        config.load("solve", ["policy=mine"], tmp_path)


def test_every_option_has_a_meaning():
    """--help has a text for every option of every command."""
    for command in COMMANDS:
        for option in options(config.schema_of(command)):
            assert option.meaning, option.key
            assert option.default, option.key


def test_settings_check_themselves():
    """The same rules hold from Python."""
    with pytest.raises(InputError) as caught:
        Settings(gap_target=math.nan, time_limit_s=-1, seed=-1)
    assert len(caught.value.faults) == 3
    for spec in dataclasses.fields(SolverSettings):
        if spec.type is int:
            with pytest.raises(InputError, match=spec.name):
                SolverSettings(**{spec.name: -1})


def test_run_folder_is_new(tmp_path):
    """Two runs in one second do not share a folder."""
    taken = tmp_path / "run"
    taken.mkdir()
    _, whole = config.load("solve", [f"hydra.run.dir={taken}"])
    assert config.run_folder(whole) == Path(f"{taken}-2")


def test_lists_are_typed():
    """Lists of numbers come as such, and a wrong one is refused by name."""
    built, _ = config.load("frontier", ["frontier.scale=[0.5,1]", "frontier.unlimited=true"])
    assert built.frontier.points == [0.5, 1.0]
    assert built.frontier.unlimited
    for word in ("frontier.scale=[a]", "frontier.scale=[]", "audit.by=planet"):
        with pytest.raises(InputError, match=r"frontier\.scale|audit\.by"):
            config.load(word.partition(".")[0], [word])
