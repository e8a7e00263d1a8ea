"""Replace a run's files as one set: a reader sees all of the old run's or all of the new one's.

The new files are written and flushed in a hidden sibling folder, which then takes the place of
the target in one step:

* no folder there yet, or an empty one: one `rename`;
* a folder of an earlier run: `renameat2(RENAME_EXCHANGE)`, which swaps the two folders at once.
  What else lies in the folder (Hydra's `.hydra`, logs, notes of the operator) is carried over
  first, by hard links, so it is in the old folder and in the new one at every moment;
* a file system without that call (NFS, some overlays): two renames, so for some microseconds
  there is no folder of that name, but never a mixed one;
* a folder that cannot be renamed (a mount point, a parent without write permission): the marker
  file is removed, the files are replaced one by one, and the marker comes last.  Whoever waits for
  the marker (`summary.json`) never reads a mixed set, but may find no run for a moment.

A folder that holds files and no run of ours is refused, so that `out=~` harms nobody.
"""

import ctypes
import errno
import fcntl
import os
import secrets
import shutil
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from jaxplace.errors import InputError, OutputError


_AT_FDCWD = -100
_RENAME_EXCHANGE = 2
_STALE_S = 60.0  # younger folders may be between their creation and their lock
_NO_SWAP = {errno.EBUSY, errno.EXDEV, errno.EACCES, errno.EPERM, errno.EROFS}


def check_target(out: Path, *, marker: str, harmless: Iterable[str] = (".hydra",)) -> Path:
    """The folder that a run may write to, made absolute; links are followed.

    Args:
        out: the folder that the user named.
        marker: a file that every earlier run has left there.
        harmless: entries that may lie there before the first run.

    Raises:
        InputError: it is a file, the working folder or one above it, or holds foreign files, or
            permission is missing.
    """
    target = Path(os.path.realpath(out.expanduser()))
    if target.exists() and not target.is_dir():
        raise InputError(f"`out={out}` is a file. Name a folder")
    if Path.cwd().is_relative_to(target):
        raise InputError(
            f"`out={out}` is the current folder or one above it, which a run cannot replace. "
            "Name a folder inside it"
        )
    if target.is_dir() and not (target / marker).exists():
        allowed = set(harmless)
        foreign = sorted(
            e.name for e in target.iterdir() if e.name not in allowed and e.suffix != ".log"
        )
        if foreign:
            shown = ", ".join(repr(name) for name in foreign[:3])
            held = "1 entry" if len(foreign) == 1 else f"{len(foreign):,} entries"
            raise InputError(
                f"`out={out}` holds {held} and no earlier run ({shown}). "
                "Name a new or empty folder, or that of an earlier run"
            )
    there = next(p for p in (target, *target.parents) if p.exists())
    if not os.access(there, os.W_OK | os.X_OK):
        raise InputError(f"`out={out}` cannot be written: no permission for {there}. Name another")
    return target


def replace_set(target: Path, fill: Callable[[Path], None], *, marker: str) -> None:
    """Write a set of files and let it take the place of the one in `target`.

    Args:
        target: what `check_target` returned.
        fill: writes the files into the folder it is given; no subfolders.
        marker: the file of the set that a reader looks for first.

    Raises:
        OutputError: the disk is full, a permission is missing; the old set is then untouched.
    """
    staged = lock = None
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        _sweep(target)
        staged, inside = _stage(target)
        lock = os.open(staged, os.O_RDONLY)
        fcntl.flock(lock, fcntl.LOCK_EX)
        fill(staged)
        for path in staged.iterdir():
            _flush(path)
        _flush(staged)
        if inside:
            _one_by_one(staged, target, marker)
        else:
            _take_place(staged, target, marker)
    except OSError as error:
        raise OutputError(
            f"The results could not be written to {target}: {error.strerror or error}. "
            "What was there before is unchanged; free the disk or name another folder with `out=`"
        ) from error
    finally:
        if staged is not None:
            shutil.rmtree(staged, ignore_errors=True)
        if lock is not None:
            os.close(lock)


def replace_file(path: Path, content: bytes) -> None:
    """Write one file so that a reader sees the old content or the new, also after a power cut.

    Raises:
        OutputError: the disk refused; the old file is then untouched.
    """
    staged = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with staged.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(staged, path)
        _flush(path.parent)
    except OSError as error:
        staged.unlink(missing_ok=True)
        raise OutputError(
            f"{path} could not be written: {error.strerror or error}. "
            "What was there before is unchanged; free the disk or mend its permissions"
        ) from error


def _stage(target: Path) -> tuple[Path, bool]:
    """A new folder beside `target`, or inside it (then True) where its parent is read-only."""
    name = f".{target.name}.jaxplace-{secrets.token_hex(4)}"
    inside = target.is_dir() and (os.path.ismount(target) or not os.access(target.parent, os.W_OK))
    staged = (target if inside else target.parent) / name
    staged.mkdir()  # the user's umask, unlike mkdtemp
    return staged, inside


def _sweep(target: Path) -> None:
    """Remove what killed runs have left; a living run holds a lock on its folder."""
    for parent in (target.parent, target):
        for left in parent.glob(f".{target.name}.jaxplace-*") if parent.is_dir() else ():
            try:
                if time.time() - left.stat().st_mtime < _STALE_S:
                    continue
                handle = os.open(left, os.O_RDONLY)
            except OSError:
                continue
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(left, ignore_errors=True)
            except OSError:  # its run is alive
                pass
            finally:
                os.close(handle)


def _take_place(staged: Path, target: Path, marker: str) -> None:
    """Rename `staged` to `target`, carrying over what else lies in `target`."""
    if not target.is_dir():
        os.rename(staged, target)
        _flush(target.parent)
        return
    shutil.copymode(target, staged)
    ours = {path.name for path in staged.iterdir()}
    for entry in target.iterdir():
        if entry.name not in ours:
            _carry(entry, staged / entry.name)
    _flush(staged)
    try:
        _swap(staged, target)
    except OSError as error:
        if error.errno not in _NO_SWAP:
            raise
        for path in staged.iterdir():  # only our own files go the slow way; the rest is there
            if path.name not in ours:
                shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
        _one_by_one(staged, target, marker)
    _flush(target.parent)


def _carry(source: Path, goal: Path) -> None:
    """Make `source` appear at `goal` too: hard links, or copies where links do not work."""

    def link(a: str, b: str) -> str:
        try:
            os.link(a, b, follow_symlinks=False)
        except OSError:
            shutil.copy2(a, b, follow_symlinks=False)
        return b

    if source.is_dir() and not source.is_symlink():
        shutil.copytree(source, goal, symlinks=True, copy_function=link)
    else:
        link(str(source), str(goal))


def _swap(staged: Path, target: Path) -> None:
    """Exchange two folders: at once on Linux, else by two renames."""
    try:
        _exchange(staged, target)
    except OSError as error:
        if error.errno not in {errno.ENOSYS, errno.EINVAL, errno.ENOTSUP}:
            raise
        old = staged.with_name(staged.name + "-old")
        os.rename(target, old)
        try:
            os.rename(staged, target)
        except OSError:
            os.rename(old, target)
            raise
        os.rename(old, staged)


def _exchange(one: Path, other: Path) -> None:
    """`renameat2(one, other, RENAME_EXCHANGE)`; `os` has no binding for it."""
    libc = ctypes.CDLL(None, use_errno=True)
    if not hasattr(libc, "renameat2"):
        raise OSError(errno.ENOSYS, "renameat2 is not there")
    result = libc.renameat2(
        _AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _RENAME_EXCHANGE
    )
    if result != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), str(other))


def _one_by_one(staged: Path, target: Path, marker: str) -> None:
    """Replace the files singly, the marker gone first and back last."""
    (target / marker).unlink(missing_ok=True)
    names = sorted(path.name for path in staged.iterdir())
    for name in [n for n in names if n != marker] + [n for n in names if n == marker]:
        os.replace(staged / name, target / name)
    _flush(target)


def _flush(path: Path) -> None:
    """Make a file or a folder's entries survive a power cut."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
