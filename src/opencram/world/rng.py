"""The world's only source of randomness: every object, sensor and engagement has a stream of its own, by name.

What one of them draws depends on the seed and on its name alone, so that one more object, or one drawn more often,
changes nothing for the others.
"""

import hashlib

import numpy as np


def generator(seed: int, *names: str) -> np.random.Generator:
    """The stream of a name such as ("plots", "radar-1", "R3") under a run's seed (0 or above)."""
    name = hashlib.sha256("\x00".join(names).encode()).digest()
    words = [int.from_bytes(name[i : i + 4], "little") for i in range(0, 16, 4)]
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, *words])))
