"""The curvature as what it is: the covariance of what a row's options take, summed over rows.

    H = sum_i w_i ( sum_a p_ia u_ia u_ia'  -  (sum_a p_ia u_ia) (sum_a p_ia u_ia)' )

with the share p_ia of option a, what it takes u_ia (its region's resources, and budgets), and the
row's units over its temperature w_i.  The first sum couples what one region takes, and is added up
once; the second is kept as each row's mean.  As a matrix all this has q^2 values and costs the
square of the options in use a row; times a vector, those options alone.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numba import uint64

from jaxplace.kernels.host.loops import fast, inner
from jaxplace.native import lent, spread


PARTS = 2  # of the rows, over the threads
SINGULAR = 1e-12  # least eigenvalue of a block, its diagonal made 1, below which it is none
WIDE = 0.3  # of all options: rows with more in use are multiplied whole


@dataclass(frozen=True)
class Covariance:
    """Of n rows with z options in use, one row's after the other's; R resources and B budgets.

    Attributes:
        start: [n + 1] where each row's options begin.
        region: [z] int32 of each option.
        mean: [z, R] what a row takes of the option's region on average, times sqrt(w).
        spent: [n, B] the same of the budgets.
        level: [m, R + B, R + B] the first sum, by region.
    """

    start: np.ndarray
    region: np.ndarray
    mean: np.ndarray
    spent: np.ndarray
    level: np.ndarray

    @classmethod
    def of(cls, regions: int, resources: int, parts: list[tuple[np.ndarray, ...]]) -> "Covariance":
        """Of parts of the rows.

        Args:
            regions: m.
            resources: R.
            parts: of each its rows' numbers of options and weights w [n]; its options' regions [z],
                shares [z] and takes [z, R + B].
        """
        used, weight, region, share, takes = (np.concatenate(p) for p in zip(*parts, strict=True))
        start, each = np.concatenate([[0], np.cumsum(used)]), takes.shape[1]
        mean = np.empty((len(region), resources))
        spent, level = np.zeros((len(weight), each - resources)), np.zeros((regions, each, each))
        _add_up(start, weight, region, share, takes, mean, spent, level)
        return cls(start, region, mean, spent, level)

    def dense(self) -> np.ndarray:
        """[q, q] float64."""
        (m, each, _), resources = self.level.shape, self.mean.shape[1]
        size, rows = len(self.diagonal()), max(len(self.spent), 1)
        wide = int(self.mean.size > WIDE * rows * size)

        def part(first: int, stop: int) -> np.ndarray:  # with its transpose, that of some rows
            out, means = np.zeros((size, size)), np.zeros((wide * (stop - first), size))
            _fill(self.start, self.region, self.mean, self.spent, first, stop, out, means)
            return out - 0.5 * (means.T @ means) if wide else out

        whole, *others = spread(part, len(self.spent), chunks=PARTS)
        for other in others:
            whole += other
        whole += whole.T
        asked = np.arange(m * resources).reshape(m, resources)
        spent = np.broadcast_to(np.arange(m * resources, size), (m, each - resources))
        where = np.hstack([asked, spent])
        np.add.at(whole, (where[:, :, None], where[:, None, :]), self.level)
        return whole

    def diagonal(self) -> np.ndarray:
        """[q] float64."""
        return self._diagonal

    def __matmul__(self, vector: np.ndarray) -> np.ndarray:
        """[q] float64."""
        out = np.empty(len(vector))
        _product(*self._terms(), np.asarray(vector, np.float64), out)
        return out

    def solve(
        self,
        extra: np.ndarray,
        right: np.ndarray,
        free: np.ndarray,
        *,
        guess: np.ndarray,
        left: float,
        iterations: int,
    ) -> np.ndarray:
        """What solves the free rows of (matrix + extra) x = right, 0 elsewhere.

        Args:
            extra: [q] added to the diagonal.
            right: [q], 0 where not `free`.
            free: [q] bool.
            guess: [q] where conjugate gradients begin, 0 where not `free`.
            left: share of `right` that they may leave over.
            iterations: of theirs, at most.
        """
        (m, _, _), resources = self.level.shape, self.mean.shape[1]
        found, size, each = guess.copy(), m * resources, np.arange(resources)
        blocks, on = self._blocks.copy(), free[:size].reshape(m, resources)
        blocks[:, each, each] += extra[:size].reshape(m, resources)
        blocks[~(on[:, :, None] & on[:, None, :])] = 0.0
        blocks[:, each, each] = np.where(on, np.maximum(blocks[:, each, each], 1e-300), 1.0)
        alone = 1.0 / np.maximum(self.diagonal()[size:] + extra[size:], 1e-300)
        scaled = _inverse(blocks), alone
        _descend(*self._terms(), *scaled, extra, right, free, found, left, iterations)
        return found

    @cached_property
    def _blocks(self) -> np.ndarray:
        """[m, R, R] float64 of each region's resources, which pull in nearly the same direction."""
        resources = self.mean.shape[1]
        out = self.level[:, :resources, :resources].copy()
        _less_means(self.region, self.mean, out)
        return out

    @cached_property
    def _diagonal(self) -> np.ndarray:  # every solve of a step asks for it
        resources = self.mean.shape[1]
        budgets = np.einsum("jbb->b", self.level[:, resources:, resources:])
        budgets = budgets - (self.spent**2).sum(0)
        return np.concatenate([np.einsum("jrr->jr", self._blocks).ravel(), budgets])

    def _terms(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        return self.start, self.region, self.mean, self.spent, self.level


@fast
def _add_up(start, weight, region, share, takes, mean, spent, level):
    """See `Covariance`."""
    start, weight, region, share, takes, mean, spent, level = lent(
        (start, weight, region, share, takes, mean, spent, level)
    )
    resources, each = mean.shape[1], takes.shape[1]
    for i in range(len(weight)):
        root = np.sqrt(weight[i])
        for a in range(start[i], start[i + 1]):
            part, j = weight[i] * share[a], region[a]
            for r in range(each):
                taken = root * share[a] * takes[a, r]
                if r < resources:
                    mean[a, r] = taken
                else:
                    spent[i, r - resources] += taken
                for s in range(each):
                    level[j, r, s] += part * takes[a, r] * takes[a, s]


@fast
def _fill(start, region, mean, spent, first, stop, out, laid_out):
    """Less half of the products of means; or these means laid out by row."""
    start, region, mean, spent, out, laid_out = lent((start, region, mean, spent, out, laid_out))
    resources, budgets = mean.shape[1], spent.shape[1]
    most = _longest(start, first, stop) * resources + budgets
    where, means = np.empty(most, np.int64), np.empty(most)
    for i in range(first, stop):
        used = 0
        for a in range(start[i], start[i + 1]):
            for r in range(resources):
                where[used], means[used] = region[a] * resources + r, mean[a, r]
                used += 1
        for b in range(budgets):
            where[used], means[used] = len(out) - budgets + b, spent[i, b]
            used += 1
        if len(laid_out):
            for a in range(used):
                laid_out[i - first, where[a]] = means[a]
        else:
            for a in range(used):
                out[where[a], where[a]] -= 0.5 * means[a] * means[a]
                for b in range(a):
                    out[where[a], where[b]] -= means[a] * means[b]


def _inverse(blocks: np.ndarray) -> np.ndarray:
    """[m, R, R] of symmetric blocks with a positive diagonal; of that alone where it is no more."""
    scale = 1.0 / np.sqrt(np.diagonal(blocks, axis1=1, axis2=2))
    even = blocks * scale[:, :, None] * scale[:, None, :]
    if even.shape[1] > 1:
        even[np.linalg.eigvalsh(even)[:, 0] < SINGULAR] = np.eye(even.shape[1])
        even = np.linalg.inv(even)
    return np.asarray(even * scale[:, :, None] * scale[:, None, :])


@fast
def _less_means(region, mean, out):
    region, mean, out = lent((region, mean, out))
    resources = mean.shape[1]
    for a in range(len(region)):
        for r in range(resources):
            for s in range(resources):
                out[region[a], r, s] -= mean[a, r] * mean[a, s]


@inner
def _longest(start, first, stop):
    most = 0
    for i in range(first, stop):
        most = max(most, start[i + 1] - start[i])
    return most


@fast
def _product(start, region, mean, spent, level, vector, out):
    start, region, mean, spent, level, vector, out = lent(
        (start, region, mean, spent, level, vector, out)
    )
    _times(start, region, mean, spent, level, vector, out)


@inner
def _times(start, region, mean, spent, level, vector, out):
    """`out` [q] becomes the product with `vector` [q]."""
    resources, budgets = mean.shape[1], spent.shape[1]
    each, outside = resources + budgets, len(out) - budgets
    if each == 1:  # twice as fast without the loops over what an option takes from
        for j in range(len(out)):
            out[j] = level[j, 0, 0] * vector[j]
        for i in range(len(start) - 1):
            begin, end, total = uint64(start[i]), uint64(start[i + 1]), 0.0
            for a in range(begin, end):
                total += mean[a, 0] * vector[uint64(region[a])]
            for a in range(begin, end):
                out[uint64(region[a])] -= total * mean[a, 0]
        return
    out[:] = 0.0
    for j in range(len(level)):
        for r in range(each):
            here = j * resources + r if r < resources else outside + r - resources
            for s in range(each):
                there = j * resources + s if s < resources else outside + s - resources
                out[here] += level[j, r, s] * vector[there]
    for i in range(len(start) - 1):
        total = 0.0
        for a in range(start[i], start[i + 1]):
            for r in range(resources):
                total += mean[a, r] * vector[region[a] * resources + r]
        for b in range(budgets):
            total += spent[i, b] * vector[outside + b]
        for a in range(start[i], start[i + 1]):
            for r in range(resources):
                out[region[a] * resources + r] -= total * mean[a, r]
        for b in range(budgets):
            out[outside + b] -= total * spent[i, b]


@fast
def _descend(
    start, region, mean, spent, level, inverse, alone, extra, right, free, found, left, iterations
):
    """Conjugate gradients: `found` [q] is their guess, then their answer.

    Scaled by the `inverse` [m, R, R] of the regions' blocks and `alone` [B] of the budgets.
    """
    start, region, mean, spent, level, inverse, alone, extra, right, free, found = lent(
        (start, region, mean, spent, level, inverse, alone, extra, right, free, found)
    )
    rest, way, bent = right.copy(), np.zeros(len(found)), np.zeros(len(found))
    eased = np.zeros(len(found))
    _times(start, region, mean, spent, level, found, bent)
    whole, over, before = 0.0, 0.0, np.inf
    for j in range(len(found)):
        rest[j] = rest[j] - bent[j] - extra[j] * found[j] if free[j] else 0.0
        whole += right[j] * right[j]
        over += rest[j] * rest[j]
    for _ in range(iterations):
        if over <= left * left * whole:
            break
        _ease(inverse, alone, rest, eased)
        slope, curved = 0.0, 0.0
        for j in range(len(found)):
            slope += rest[j] * eased[j]
        for j in range(len(found)):
            way[j] = eased[j] + slope / before * way[j]
        _times(start, region, mean, spent, level, way, bent)
        for j in range(len(found)):
            bent[j] = bent[j] + extra[j] * way[j] if free[j] else 0.0
            curved += way[j] * bent[j]
        if not curved > 0:  # indefinite, by what float32 shares leave
            break
        over = 0.0
        for j in range(len(found)):
            found[j] += slope / curved * way[j]
            rest[j] -= slope / curved * bent[j]
            over += rest[j] * rest[j]
        before = slope


@inner
def _ease(inverse, alone, rest, out):
    """`out` [q] becomes `rest` over each region's block, and each budget's curvature."""
    resources = inverse.shape[1]
    outside = len(inverse) * resources
    for j in range(len(inverse)):
        for r in range(resources):
            total = 0.0
            for s in range(resources):
                total += inverse[j, r, s] * rest[j * resources + s]
            out[j * resources + r] = total
    for b in range(len(alone)):
        out[outside + b] = alone[b] * rest[outside + b]
