"""What the loops read and write: everything of a problem as NumPy arrays, and scratch."""

from typing import Any, NamedTuple

import numpy as np

from jaxplace.native import frozen
from jaxplace.problem import menus as book
from jaxplace.problem.problem import Duals, Rows, Tables


CHUNKS, CHUNK = 16, 4096  # parts that a pass is cut into, of so many rows; fewer if it is short
FAR = np.float32(1e30)  # a reduced cost that nobody pays


class HostRows(NamedTuple):
    """`Rows` as NumPy arrays; a field that the instance lacks is one row, `on` says 0 for it."""

    weight: np.ndarray
    use: np.ndarray
    unplaced: np.ndarray
    scale: np.ndarray
    energy: np.ndarray
    egress: np.ndarray
    state: np.ndarray
    leave: np.ndarray
    home: np.ndarray
    home_zone: np.ndarray
    place: np.ndarray
    budget: np.ndarray
    residency: np.ndarray
    fit: np.ndarray


class On(NamedTuple):
    """1 where the instance has it, else 0: what an index is multiplied by."""

    egress: int
    moves: int
    state: int
    residency: int
    fit: int
    carbon: int  # a budget
    toll: int  # a budget on moves


class Prices(NamedTuple):
    """Duals and what is paid for data."""

    capacity: np.ndarray  # [m, R] f32
    moves: np.float32
    carbon: np.float32
    transfer: np.ndarray  # [z, m] f32


class Desk(NamedTuple):
    """Scratch of one thread: a class's terms that depend on duals, and the row at hand."""

    paid: np.ndarray  # [R, m] f32, and so the rest: duals times the use factor
    energy: np.ndarray  # [m] with the carbon budget's dual
    state: np.ndarray  # [m]
    reduced: np.ndarray  # [m] FAR where the row may not go, up to the end of its last tile
    share: np.ndarray  # [m] in the runs that `run` lists
    load: np.ndarray  # [R, m]
    least: np.ndarray  # [tiles] of `reduced`
    run: np.ndarray  # [tiles, 2] int32 first entry and the one after the last


def chunks(rows: int) -> int:
    """Parts of a pass over so many rows; sums are by part, then over the parts in order."""
    return min(max(rows // CHUNK, 2), CHUNKS)


def _dual(dual: Any) -> np.float32:
    return np.float32(0.0 if dual is None else dual)


def new_desk(m: int, resources: int) -> Desk:
    """Scratch for one thread."""
    tiles = -(-m // book.TILE)
    width = tiles * book.TILE
    one, each = np.zeros((4, width), np.float32), np.zeros((2, resources, width))
    paid, load = each.astype(np.float32)
    energy, state, reduced, share = one
    return Desk(paid, energy, state, reduced, share, load,
        np.zeros(tiles, np.float32), np.zeros((tiles, 2), np.int32))  # fmt: skip


def arrays(rows: Rows, tables: Tables, duals: Duals) -> tuple[HostRows, On, Prices]:
    """Everything as NumPy arrays; on CPUs these are views.

    All are frozen, the missing ones too: a scenario with other features compiles nothing anew.
    """
    capacity = frozen(np.asarray(duals.capacity), np.float32)
    m, resources = capacity.shape
    floats, integers = frozen(np.zeros(1), np.float32), frozen(np.zeros(1), np.int32)
    wide = {"fit": frozen(np.zeros((1, resources)), np.int32)}
    whole = ("home", "home_zone", "place", "budget", "residency")
    fields = {}
    for name in HostRows._fields:
        values = getattr(rows, name)
        missing = wide.get(name, integers if name in whole else floats)
        fields[name] = missing if values is None else frozen(np.asarray(values), missing.dtype)
    on = On(
        egress=int(rows.egress is not None),
        moves=int(rows.home is not None),
        state=int(rows.state is not None),
        residency=int(rows.residency is not None),
        fit=int(tables.fit is not None),
        carbon=int(duals.carbon is not None),
        toll=int(duals.moves is not None),
    )
    zones = np.zeros((1, m)) if tables.transfer is None else np.asarray(tables.transfer)
    return (
        HostRows(**fields),
        on,
        Prices(capacity, _dual(duals.moves), _dual(duals.carbon), frozen(zones, np.float32)),
    )
