"""Padded array sizes, few enough that another hour or another n meets a compiled program."""

import numpy as np


BLOCK = 512  # rows a kernel tile holds; 256 to 1024 measured alike on 2 cores (AMD EPYC 9005)


def bucket(size: int, *, smallest: int = 1) -> int:
    """The smallest of 1, 1.25, 1.5, 1.75 times a power of two (times `smallest`) >= size."""
    steps = -(-max(size, 1) // smallest)
    if steps <= 4:
        return smallest * steps
    unit = 1 << (int(steps - 1).bit_length() - 3)
    return smallest * unit * -(-steps // unit)


def row_bucket(rows: int) -> int:
    """Padded number of rows: whole blocks, in buckets."""
    return bucket(rows, smallest=BLOCK)


def sample_bucket(rows: int) -> int:
    """The same for subsets of rows: powers of two, since their sizes change as a solve runs."""
    return BLOCK << max(-(-rows // BLOCK) - 1, 0).bit_length()


def region_bucket(regions: int) -> int:
    """Padded number of regions: a bucket of vector registers."""
    return bucket(regions, smallest=16)


def pad(array: np.ndarray, size: int, *, axis: int = 0, fill: float = 0) -> np.ndarray:
    """The array extended along one axis to `size` with a constant."""
    missing = size - array.shape[axis]
    if missing == 0:
        return array
    width = [(0, 0)] * array.ndim
    width[axis] = (0, missing)
    return np.pad(array, width, constant_values=fill)
