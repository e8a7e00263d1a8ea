"""Large symmetric matrices of which most is 0, times vectors, on all threads."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from jaxplace.native import compiled, lent, spread


PARTS, FEW = 8, 500_000  # parts of a product, and values up to which it is one


@dataclass(frozen=True)
class Scattered:
    """What is not 0, by row; in float32, as it was summed.

    Attributes:
        value: [z] float32.
        column: [z] int32.
        start: [q + 1] where each row begins.
    """

    value: np.ndarray
    column: np.ndarray
    start: np.ndarray

    @classmethod
    def of(cls, matrix: np.ndarray) -> "Scattered":
        """A matrix [q, q] without its zeros."""
        return cls(*_compressed(matrix))

    def diagonal(self) -> np.ndarray:
        """[q] float64."""
        return self._diagonal

    def __matmul__(self, vector: np.ndarray) -> np.ndarray:
        """[q] float64."""
        out = np.empty(len(vector))

        def part(first: int, stop: int) -> None:
            rows = self._edges[first], self._edges[stop]
            _product(self.value, self.column, self.start, vector, out, *rows)

        spread(part, len(self._edges) - 1, chunks=len(self._edges) - 1)
        return out

    @cached_property
    def _diagonal(self) -> np.ndarray:
        return _diagonal(self.value, self.column, self.start)

    @cached_property
    def _edges(self) -> np.ndarray:
        """Rows between which there are about as many values each time."""
        parts = PARTS if len(self.value) > FEW else 1
        shares = np.linspace(0, len(self.value), parts + 1)
        edges = np.searchsorted(self.start, shares)
        edges[-1] = len(self.start) - 1
        return edges


@compiled
def _compressed(matrix):  # type: ignore[no-untyped-def]
    size = len(matrix)
    start = np.zeros(size + 1, np.int64)
    for i in range(size):
        used = 0
        for j in range(size):
            used += matrix[i, j] != 0
        start[i + 1] = start[i] + used
    value, column = np.empty(start[size], np.float32), np.empty(start[size], np.int32)
    for i in range(size):
        at = start[i]
        for j in range(size):
            if matrix[i, j] != 0:
                value[at], column[at] = matrix[i, j], j
                at += 1
    return value, column, start


@compiled
def _diagonal(value, column, start):  # type: ignore[no-untyped-def]
    out = np.zeros(len(start) - 1)
    for i in range(len(out)):
        for n in range(start[i], start[i + 1]):
            if column[n] == i:
                out[i] = value[n]
    return out


@compiled
def _product(value, column, start, vector, out, first, stop):  # type: ignore[no-untyped-def]
    value, column, start, vector, out = lent((value, column, start, vector, out))
    for i in range(first, stop):
        total = 0.0
        for n in range(start[i], start[i + 1]):
            total += np.float64(value[n]) * vector[column[n]]
        out[i] = total
