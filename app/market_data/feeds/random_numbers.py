"""Random numbers that any process can draw again, in any order.

They are those of Philox (J. Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", 2011),
keyed by seed, level and number. Only its raw output is used, which is the same in every version
of numpy; the distributions of numpy.random.Generator are not.
"""

from __future__ import annotations

import math
from hashlib import blake2b
from typing import Any

import numpy as np
from numpy.typing import NDArray

# Of any type, because numpy's own annotations lose the type in most operations.
Numbers = NDArray[Any]


class RandomNumbers:
    """Not thread-safe."""

    def __init__(self, seed: str) -> None:
        self._seed = seed
        self._philox = np.random.Philox(key=0)

    def words(self, level: str, number: int, count: int) -> NDArray[np.uint64]:
        """Return numbers of 64 random bits, little-endian in memory."""
        key = blake2b(f"{self._seed}/{level}/{number}".encode(), digest_size=16).digest()
        # A new generator would first ask the system for random bytes, which takes longer.
        self._philox.state = {
            "bit_generator": "Philox",
            "state": {
                "counter": np.zeros(4, np.uint64),
                "key": np.frombuffer(key, "<u8").astype(np.uint64),
            },
            "buffer": np.zeros(4, np.uint64),
            "buffer_pos": 4,
            "has_uint32": 0,
            "uinteger": 0,
        }
        return np.asarray(self._philox.random_raw(count), dtype="<u8")

    def normals(self, level: str, number: int, shape: tuple[int, int]) -> Numbers:
        """Return standard normal numbers (G. Box and M. Muller, 1958)."""
        words = self.words(level, number, 2 * math.prod(shape)) >> np.uint64(11)
        one, other = words.reshape(2, *shape) * 2.0**-53
        drawn: Numbers = np.sqrt(-2 * np.log(1 - one)) * np.cos(2 * math.pi * other)
        return drawn

    def uniforms(self, level: str, number: int, shape: tuple[int, int]) -> Numbers:
        """Return uniform numbers with mean 0 and variance 1, from 16 bits each."""
        count = math.prod(shape)
        bits = self.words(level, number, -(-count // 4)).view("<u2")[:count].reshape(shape)
        return (bits - 32_767.5) * (math.sqrt(12) / 65_536)


def autoregression(start: Any, shocks: Numbers, memory: float) -> Numbers:
    """Return x(1), x(2), ... of x(n) = memory x(n-1) + shock(n), with x(0) = `start`.

    `shocks` has a row for each step, some hundreds at most.
    """
    powers = memory ** np.arange(1, len(shocks) + 1)[:, None]
    states: Numbers = powers * (start + np.cumsum(shocks / powers, axis=0))
    return states
