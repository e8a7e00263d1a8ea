"""`--help`: read off the schemas, so that it cannot disagree with them."""

import inspect
import textwrap

from jaxplace.options import Option, options, typed


EXAMPLES = {
    "solve": (
        ("the bundled demo scenario", "jaxplace solve"),
        ("your own tables, one hour", "jaxplace solve scenario=my-tables hour=2022-07-01T12:00"),
        (
            "priced carbon, spare capacity",
            "jaxplace solve policy=carbon-aware policy.headroom=0.1 out=runs/green",
        ),
        ("one figure for a script", "jaxplace solve json=true | jq .gap"),
    ),
    "compare": (
        ("every method on the demo", "jaxplace compare"),
        (
            "three of them, on your tables and on an assignment problem",
            "jaxplace compare 'methods=[jaxplace,highs_lp,greedy]' 'scenarios=[my-tables,d10100]'",
        ),
        ("another solver's settings", "jaxplace compare method.highs_lp.crossover=true"),
    ),
    "replan": (
        ("this hour, by the clock", "jaxplace replan state=state scenario=tables/{hour}"),
        ("a day of the demo", "jaxplace replan state=demo-day from=2022-06-27T00:00 hours=24"),
        (
            "what it would do",
            "jaxplace replan state=state scenario=tables/{hour} dry_run=true json=true",
        ),
    ),
    "frontier": (
        ("what latency is worth in the bundled demo", "jaxplace frontier"),
        ("half, as they are, and double", "jaxplace frontier 'frontier.scale=[0.5,1,2]'"),
        (
            "what flattens the curve",
            "jaxplace frontier frontier.unlimited=true frontier.ladder=true out=runs/why",
        ),
        (
            "cost against carbon",
            "jaxplace frontier 'frontier.carbon_prices=[0,50,100,200]'",
        ),
    ),
    "audit": (
        ("every region of the demo", "jaxplace audit"),
        ("the ten busiest countries", "jaxplace audit audit.by=country audit.most=10"),
    ),
    "explain": (
        ("why a request runs there", "jaxplace explain request=r0000000 plan=runs/noon"),
        ("who is at a region, who wants in", "jaxplace explain region=aws:eu-north-1"),
    ),
    "generate": (
        ("20,000 requests x 100 regions", "jaxplace generate size=small out=small"),
        ("your own size", "jaxplace generate requests=500000 regions=300 seed=1 out=mine"),
    ),
    "doctor": (("is all well?", "jaxplace doctor"),),
}
FLAGS = (
    ("--cfg", "print the composed options as YAML and stop"),
    ("--config-dir DIR", "look for policies and experiments in DIR as well, laid out like conf/"),
    ("--help", "this text"),
)
WIDTH = 100


def overview(commands: dict[str, str]) -> str:
    """The top-level help."""
    lines = [
        "jaxplace: certified placement of AI inference over data-centre regions",
        "",
        "usage: jaxplace COMMAND [key=value ...]",
        "",
        *(f"  {name:<12} {what}" for name, what in commands.items()),
        "",
        "`jaxplace COMMAND --help` lists a command's options; `jaxplace --version` its version.",
        "Results go to stdout, progress and messages to stderr.",
        "Exit codes: 0 gap reached; 1 feasible, gap above gap_target; 2 bad input; 3 no plan",
        "could be written; 130 interrupted.",
    ]
    return "\n".join(lines) + "\n"


def page(command: str, what: str) -> str:
    """A command's help: options with meaning, unit and default, then examples."""
    if command == "completion":
        from jaxplace.completion import HOW

        return f"jaxplace completion bash|zsh|fish: {what}\n\n{HOW}"
    from jaxplace import config

    lines = [f"jaxplace {command}: {what}", "", f"usage: jaxplace {command} [key=value ...]", ""]
    for group in config.groups(command):
        names = ", ".join(config.choices(group, command)) or "none"
        default = typed(config.chosen(command, group))
        text = f"options from conf/{group}/NAME.yaml: {names} (default {default})"
        lines += _entry(f"{group}=NAME", text)
    schema = config.schema_of(command)
    own = inspect.get_annotations(schema)  # the command's own options before what it inherits

    def rank(option: Option) -> tuple[bool, bool]:
        return "." in option.key, option.key not in own

    for option in sorted(options(schema), key=rank):
        lines += _entry(*_described(option))
    lines += ["", "flags:"]
    for flag, meaning in FLAGS:
        lines += _entry(flag, meaning)
    lines += ["", "examples:"]
    for why, line in EXAMPLES[command]:
        lines += [f"  # {why}", f"  {line}"]
    return "\n".join(lines) + "\n"


def _described(option: Option) -> tuple[str, str]:
    """An option's name and the text beside it."""
    kind = option.kind if option.choices else option.kind.upper()
    return f"{option.key}={kind}", f"{option.meaning} (default {option.default})"


def _entry(name: str, text: str) -> list[str]:
    """A name and its text, indented and wrapped."""
    left = 34
    lines = textwrap.wrap(text, WIDTH - left, break_on_hyphens=False) or [""]
    head = f"  {name:<{left - 2}}"
    if len(name) > left - 3:
        return [head, *(" " * left + line for line in lines)]
    return [head + lines[0], *(" " * left + line for line in lines[1:])]
