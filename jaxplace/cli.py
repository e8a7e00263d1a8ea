"""The command line: finds the command, turns every failure into a message and an exit code.

Exit codes: 0 done; 1 feasible, but the gap is above `gap_target`; 2 bad input or usage; 3 no plan
could be written; 130 interrupted.  Heavy modules are imported by the command that needs them, so
that help and completion answer at once.
"""

import difflib
import gc
import os
import sys
import traceback
from pathlib import Path

from jaxplace.errors import InputError, OutputError


COMMANDS = {  # name -> what it does
    "solve": "place a scenario's requests on regions, with a certificate",
    "compare": "run other solvers on the same instances, certified by the same code",
    "replan": "plan hour after hour from the last plan, safe to kill",
    "frontier": "draw what latency is worth: cost and carbon over a list of latency budgets",
    "audit": "close every region, grid zone or country in turn and say what it costs",
    "explain": "say why a request runs where it does, or who is at a region and who wants in",
    "generate": "write a realistic scenario of any size",
    "doctor": "show versions, devices and folders, and run a self-test",
    "completion": "print a script that completes commands and options in your shell",
}


def main(argv: list[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    words = sys.argv[1:] if argv is None else argv
    try:
        code = _dispatch(words)
        sys.stdout.flush()
    except InputError as error:
        return _fail(2, *error.faults)
    except OutputError as error:
        return _fail(3, str(error))
    except KeyboardInterrupt:
        return _fail(130, "Interrupted")
    except BrokenPipeError:  # the reader (head, less) has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except MemoryError:
        return _fail(3, "Out of memory. Solve fewer requests, or on a machine with more")
    except Exception as error:  # noqa: BLE001  a defect must end in a message, not in a dump
        if os.environ.get("JAXPLACE_TRACEBACK"):
            traceback.print_exc()
        text = f"{type(error).__name__}: {error}".splitlines()[0]
        return _fail(
            3,
            f"A defect in jaxplace, please report it ({text}). "
            "JAXPLACE_TRACEBACK=1 shows where it happened",
        )
    return code


def _dispatch(words: list[str]) -> int:
    """Run the command that the words name."""
    if not words or words[0] in ("--help", "-h", "help"):
        from jaxplace.manual import overview

        (sys.stdout if words else sys.stderr).write(overview(COMMANDS))
        return 0 if words else 2
    first, rest = words[0], words[1:]
    if first == "--version":
        from jaxplace import __version__

        sys.stdout.write(f"jaxplace {__version__}\n")
        return 0
    if first == "_complete":
        from jaxplace.completion import candidates

        sys.stdout.write("".join(f"{c}\n" for c in candidates(rest, list(COMMANDS))))
        return 0
    if first not in COMMANDS:
        near = difflib.get_close_matches(first, COMMANDS, 1, 0.5)
        hint = f"Did you mean `{near[0]}`?" if near else f"There are {', '.join(COMMANDS)}."
        raise InputError(
            f"`{first}` is no command of jaxplace. {hint} `jaxplace --help` tells more"
        )
    if "--help" in rest or "-h" in rest:
        from jaxplace.manual import page

        sys.stdout.write(page(first, COMMANDS[first]))
        return 0
    if first == "completion":
        from jaxplace.completion import script

        sys.stdout.write(script(rest))
        return 0
    return _run(first, rest)


def _run(command: str, words: list[str]) -> int:
    """Take the flags out of the words and run, or print the composed config."""
    overrides, folder, show, queue = [], None, False, list(words)
    while queue:
        word = queue.pop(0)
        if word == "--cfg":
            show = True
        elif word == "--config-dir" or word.startswith("--config-dir="):
            _, sign, value = word.partition("=")
            if not sign and not queue:
                raise InputError("`--config-dir` needs a folder laid out like conf/")
            folder = Path(value if sign else queue.pop(0))
        elif word.startswith("-"):
            raise InputError(
                f"`{word}` is no flag. Options are written as `key=value`; "
                f"`jaxplace {command} --help` lists them"
            )
        else:
            overrides.append(word)
    if show:
        from jaxplace.config import composed

        sys.stdout.write(composed(command, overrides, folder))
        return 0
    gc.disable()  # the packages' objects live on: walking them takes a fifth of the start
    try:
        from jaxplace.commands import run

        return run(command, overrides, folder)
    finally:
        gc.enable()


def _fail(code: int, *faults: str) -> int:
    """Put the faults on stderr, one a line."""
    for fault in faults:
        sys.stderr.write(f"jaxplace: {fault}\n")
    return code
