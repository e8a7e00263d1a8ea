"""What an option is called, of which type, what it means: read off the dataclasses themselves.

A class's docstring is the text of `--help`, of error messages and of completion, so an option is
written down once.  Nothing here knows Hydra.
"""

import dataclasses
import enum
import inspect
import re
import types
import typing
from collections.abc import Iterator


@dataclasses.dataclass(frozen=True)
class Option:
    """One option of a command.

    Attributes:
        key: as it is typed, "policy.headroom".
        kind: its type in words, or its choices: "number", "auto|cpu|gpu".
        default: as it is typed; "null" for none.
        meaning: from the docstring, with range and unit.
    """

    key: str
    kind: str
    default: str
    meaning: str

    @property
    def choices(self) -> list[str]:
        """Its choices, where there are finitely many."""
        return self.kind.split("|") if "|" in self.kind else []


_WORDS = {float: "number", int: "integer", str: "text", bool: "true|false"}


def options(schema: type, prefix: str = "") -> list[Option]:
    """Every option of a dataclass, nested ones with dotted keys, in order of the fields."""
    return list(_walk(schema, prefix))


def _walk(schema: type, prefix: str) -> Iterator[Option]:
    """See `options`."""
    meanings, hints = _meanings(schema), typing.get_type_hints(schema)
    for spec in dataclasses.fields(schema):
        kind = hints[spec.name]
        if dataclasses.is_dataclass(kind):
            yield from _walk(typing.cast(type, kind), f"{prefix}{spec.name}.")
            continue
        default = spec.default
        if spec.default_factory is not dataclasses.MISSING:
            default = spec.default_factory()
        yield Option(prefix + spec.name, _kind(kind), typed(default), meanings.get(spec.name, ""))


def _kind(kind: typing.Any) -> str:
    """A type in words."""
    if isinstance(kind, types.UnionType) or typing.get_origin(kind) is typing.Union:
        kind = next(k for k in typing.get_args(kind) if k is not type(None))
    if typing.get_origin(kind) is list:
        return f"list of {_kind(typing.get_args(kind)[0])}s"
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return "|".join(member.name for member in kind)
    return _WORDS.get(kind, getattr(kind, "__name__", str(kind)))


def typed(value: object) -> str:
    """A value as it is typed on the command line."""
    if value is None:
        return "null"
    if value is dataclasses.MISSING:
        return "required"
    if isinstance(value, enum.Enum):
        return value.name
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return f"[{','.join(map(typed, value))}]"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _meanings(schema: type) -> dict[str, str]:
    """Field -> text, from the `Attributes:` of the docstrings of the class and its bases."""
    found: dict[str, str] = {}
    for owner in reversed(schema.__mro__):
        _, _, text = inspect.cleandoc(owner.__doc__ or "").partition("Attributes:\n")
        for name, meaning in re.findall(r"^    (\w+): (.*(?:\n {5,}.*)*)", text, re.MULTILINE):
            text = re.sub(r"\bNone\b", "null", " ".join(meaning.split()))  # as it is typed
            found[name] = text.removesuffix(".")
    return found
