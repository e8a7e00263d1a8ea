"""The curvature as what it is: the covariance of what a row's options take, summed over rows.

    H = sum_i w_i ( sum_a p_ia u_ia u_ia'  -  (sum_a p_ia u_ia) (sum_a p_ia u_ia)' )

with the share p_ia of option a, what it takes u_ia (its region's resources, and budgets), and the
row's units over its temperature w_i.  As a matrix it has q^2 values and costs the square of the
options in use a row; times a vector, those options alone.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numba import uint64

from jaxplace.kernels.host.loops import fast
from jaxplace.native import lent, spread


PARTS, FEW = 2, 100_000  # parts of a product, and options up to which it is one
WIDE = 0.3  # of all options: rows with more in use are multiplied whole


@dataclass(frozen=True)
class Covariance:
    """The options in use of some rows, one after the other.

    Attributes:
        size: q, of the matrix: resources of all regions, then budgets.
        resources: R of each region.
        start: [n + 1] where each row's options begin.
        weight: [n] float64 units of a row over its temperature.
        region: [z] int32 of each option.
        share: [z] float32 of the row's units.
        takes: [z, R + B] float32 of the region's resources and of the budgets.
    """

    size: int
    resources: int
    start: np.ndarray
    weight: np.ndarray
    region: np.ndarray
    share: np.ndarray
    takes: np.ndarray

    @classmethod
    def of(cls, size: int, resources: int, parts: list[tuple[np.ndarray, ...]]) -> "Covariance":
        """Of parts of the rows: each part's options a row, weights, regions, shares and takes."""
        used, *rest = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
        return cls(size, resources, np.concatenate([[0], np.cumsum(used)]), *rest)

    def dense(self) -> np.ndarray:
        """[q, q] float64."""
        each = self.takes.shape[1]
        rows = max(len(self.weight), 1)
        wide = int(len(self.region) * each > WIDE * rows * self.size)

        def part(first: int, stop: int) -> np.ndarray:  # with its transpose, that of some rows
            out, means = np.zeros((self.size,) * 2), np.zeros((wide * (stop - first), self.size))
            _fill(*self._options(), self.resources, first, stop, out, means)
            return out - 0.5 * (means.T @ means) if wide else out

        whole, *others = spread(part, len(self.weight), chunks=PARTS)
        for other in others:
            whole += other
        return whole + whole.T

    def diagonal(self) -> np.ndarray:
        """[q] float64."""
        return self._stiffness

    def __matmul__(self, vector: np.ndarray) -> np.ndarray:
        """[q] float64."""
        vector = np.asarray(vector, np.float64)

        def part(first: int, stop: int) -> np.ndarray:
            out = np.zeros(self.size)
            _product(*self._options(), self.resources, first, stop, vector, out)
            return out

        chunks = PARTS if len(self.region) > FEW else 1
        total: np.ndarray = np.sum(spread(part, len(self.weight), chunks=chunks), axis=0)
        return total

    @cached_property
    def _stiffness(self) -> np.ndarray:  # every solve of a step asks for it
        out = np.zeros(self.size)
        _diagonal(*self._options(), self.resources, out)
        return out

    def _options(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        return self.start, self.weight, self.region, self.share, self.takes


@fast
def _fill(start, weight, region, share, takes, resources, first, stop, out, laid_out):
    """Half of the sums by option, and of the products of means; or these means laid out by row."""
    start, weight, region, share, takes, out, laid_out = lent(
        (start, weight, region, share, takes, out, laid_out)
    )
    each, outside = takes.shape[1], len(out) - (takes.shape[1] - resources)
    most = 0
    for i in range(first, stop):
        most = max(most, start[i + 1] - start[i])
    where, means = np.empty(most * each, np.int64), np.empty(most * each)
    for i in range(first, stop):
        used = 0
        for a in range(start[i], start[i + 1]):
            for r in range(each):
                inside = r < resources
                where[used + r] = region[a] * resources + r if inside else outside + r - resources
                means[used + r] = share[a] * np.float64(takes[a, r])
            for r in range(each):
                for s in range(each):
                    both = weight[i] * means[used + r] * np.float64(takes[a, s])
                    out[where[used + r], where[used + s]] += 0.5 * both
            used += each
        if len(laid_out):
            root = np.sqrt(weight[i])
            for a in range(used):
                laid_out[i - first, where[a]] += root * means[a]
        else:
            for a in range(used):
                mean = weight[i] * means[a]
                out[where[a], where[a]] -= 0.5 * mean * means[a]
                for b in range(a):
                    out[where[a], where[b]] -= mean * means[b]


@fast
def _diagonal(start, weight, region, share, takes, resources, out):
    start, weight, region, share, takes, out = lent((start, weight, region, share, takes, out))
    each, outside = takes.shape[1], len(out) - (takes.shape[1] - resources)
    means = np.empty(each)
    for i in range(len(weight)):
        means[:] = 0.0
        for a in range(start[i], start[i + 1]):
            for r in range(each):
                mean = share[a] * np.float64(takes[a, r])
                square = mean * takes[a, r]
                if r < resources:
                    out[region[a] * resources + r] += weight[i] * (square - mean * mean)
                else:
                    means[r] += mean
                    out[outside + r - resources] += weight[i] * square
        for r in range(resources, each):
            out[outside + r - resources] -= weight[i] * means[r] * means[r]


@fast
def _product(start, weight, region, share, takes, resources, first, stop, vector, out):
    start, weight, region, share, takes, vector, out = lent(
        (start, weight, region, share, takes, vector, out)
    )
    each, outside = takes.shape[1], len(out) - (takes.shape[1] - resources)
    most = 0
    for i in range(first, stop):
        most = max(most, start[i + 1] - start[i])
    paid, one = np.empty(most), takes[:, 0]
    for i in range(first, stop):
        begin, end, mean = uint64(start[i]), uint64(start[i + 1]), 0.0
        if each == 1:  # twice as fast without the loops over what an option takes from
            for a in range(begin, end):
                total = one[a] * vector[uint64(region[a])]
                paid[a - begin] = total
                mean += share[a] * total
            for a in range(begin, end):
                above = weight[i] * share[a] * (paid[a - begin] - mean)
                out[uint64(region[a])] += above * one[a]
            continue
        for a in range(begin, end):
            total = 0.0
            for r in range(resources):
                total += takes[a, r] * vector[region[a] * resources + r]
            for r in range(resources, each):
                total += takes[a, r] * vector[outside + r - resources]
            paid[a - begin] = total
            mean += share[a] * total
        for a in range(begin, end):
            above = weight[i] * share[a] * (paid[a - begin] - mean)
            for r in range(resources):
                out[region[a] * resources + r] += above * takes[a, r]
            for r in range(resources, each):
                out[outside + r - resources] += above * takes[a, r]
