"""Compiled loops on the host: Numba, cached between runs, on threads over chunks of rows.

XLA has no good form for loops that stop early, follow lists or update in order.  What is written
here runs on CPUs only; on an accelerator `kernels` takes another backend.
"""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from itertools import pairwise
from typing import Any, TypeVar

import numba
import numpy as np
import numpy.typing as npt
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic


F = TypeVar("F", bound=Callable[..., Any])
R = TypeVar("R")

# sums and minima may be reassociated into vector registers; nothing is NaN, inf stays inf
FAST = {"reassoc", "nsz", "contract", "arcp", "nnan"}


def compiled(function: F, *, fast: bool = False, inline: bool = False) -> F:
    """A function as machine code that lets go of the interpreter's lock.

    Args:
        function: loops over NumPy arrays and numbers.
        fast: whether sums may be reassociated (float32 tiles; never what a proof rests on).
        inline: whether its code is copied to where it is called: for inner functions, since
            handing over arrays costs as much as a short loop.
    """
    options: dict[str, Any] = {"nogil": True, "error_model": "numpy", "forceinline": inline}
    options["fastmath"] = FAST if fast else False
    if inline:  # nothing else calls it: no door for Python to compile
        options |= {"no_cpython_wrapper": True, "no_cfunc_wrapper": True}
    try:
        return numba.njit(cache=True, **options)(function)
    except RuntimeError:  # no folder to keep the machine code in: compiled anew each run
        return numba.njit(**options)(function)


def _lent(typing, values):  # type: ignore[no-untyped-def]
    def generate(context, builder, signature, args):  # type: ignore[no-untyped-def]
        return _lend(context, builder, signature.return_type, args[0])

    return values(values), generate


def _lend(context, builder, kind, value):  # type: ignore[no-untyped-def]
    if isinstance(kind, types.BaseTuple):
        parts = cgutils.unpack_tuple(builder, value)
        lent = [_lend(context, builder, k, part) for k, part in zip(kind, parts, strict=True)]  # type: ignore[call-overload]
        return context.make_tuple(builder, kind, lent)
    if not isinstance(kind, types.Array):
        return value
    array = context.make_array(kind)(context, builder, value)
    array.meminfo = cgutils.get_null_value(array.meminfo.type)
    array.parent = cgutils.get_null_value(array.parent.type)
    return array._getvalue()


# An argument of a compiled function, or a tuple of some, whose arrays count no references in it.
# Reading a field of a tuple or handing an array on counts one, an atomic operation that threads
# contend for: once a row, that took half of a pass.  For arguments only, which the caller keeps.
lent: Any = intrinsic(_lent)


def frozen(values: np.ndarray, dtype: npt.DTypeLike) -> np.ndarray:
    """The values as compiled loops take them, without a copy where that can be.

    Contiguous and not writeable, whatever they were, so that one piece of machine code serves
    arrays from files (which nobody may write) and arrays made here.
    """
    view: np.ndarray = np.ascontiguousarray(values, dtype).view()
    view.flags.writeable = False
    return view


def stable_order(key: np.ndarray, classes: int) -> np.ndarray:
    """Positions that sort the keys, ties in their own order; counted, so in linear time.

    Args:
        key: integers in [0, classes).
        classes: far more of them than keys are sorted by comparison.
    """
    if classes > 4 * len(key) + 1024:
        return np.argsort(key, kind="stable")
    return _counting_sort(frozen(key, np.int64), classes)


def threads() -> int:
    """Threads that this process may use."""
    return len(os.sched_getaffinity(0))


@cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads(), thread_name_prefix="jaxplace")


def spread(work: Callable[[int, int], R], size: int, *, chunks: int) -> list[R]:
    """`work(start, stop)` over `chunks` equal parts of range(size), on all threads; in order.

    The parts do not depend on the machine, so sums over them are the same everywhere.
    """
    edges = [size * c // chunks for c in range(chunks + 1)]
    parts = [(a, b) for a, b in pairwise(edges) if b > a]
    if len(parts) <= 1 or threads() == 1:
        return [work(a, b) for a, b in parts]
    done: dict[int, R] = {}
    left = iter(range(len(parts)))

    def some() -> None:
        for p in left:
            done[p] = work(*parts[p])

    others = [_pool().submit(some) for _ in range(threads() - 1)]
    try:
        some()  # this thread too: for short parts, waking another one takes as long as the work
    finally:
        for other in others:
            if not other.cancel():
                other.result()
    return [done[p] for p in range(len(parts))]


@compiled
def _counting_sort(key: np.ndarray, classes: int) -> np.ndarray:
    """See `stable_order`."""
    at, order = np.zeros(classes + 1, np.int64), np.empty(len(key), np.int64)
    for k in key:
        at[k + 1] += 1
    for c in range(classes):
        at[c + 1] += at[c]
    for i in range(len(key)):
        order[at[key[i]]] = i
        at[key[i]] += 1
    return order


@compiled
def longer(values: np.ndarray, size: int) -> np.ndarray:
    """The list, or one twice as long at least that begins with it and has room for `size`."""
    if len(values) >= size:
        return values
    more = np.empty(max(size, 2 * len(values)), values.dtype)
    for p in range(len(values)):  # a slice takes seconds to compile
        more[p] = values[p]
    return more
