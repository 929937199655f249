"""Random draws as hashes: a draw depends on the seed, its purpose and its keys, never on partitions or order."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pyspark.sql import Column
from pyspark.sql import functions as F

# The bits that a double holds exactly.
RESOLUTION = 2**53


@dataclass(frozen=True)
class Draws:
    """Draws of one seed."""

    seed: int

    def uniform(self, purpose: str, *keys: Column | str) -> Column:
        """Draw uniformly on [0, 1), the same for the same seed, purpose and (non-null) keys."""
        hashed = F.xxhash64(F.lit(self.seed).cast("long"), F.lit(purpose), *keys)
        return F.pmod(hashed, F.lit(RESOLUTION)) / F.lit(float(RESOLUTION))

    def choice(self, weights: Mapping[str, float], purpose: str, *keys: Column | str) -> Column:
        """Draw one of the keys of `weights`, with probability in proportion to its weight."""
        return pick(weights, self.uniform(purpose, *keys))

    def index(self, size: Column, purpose: str, *keys: Column | str) -> Column:
        """Draw a bigint uniformly on 0 ... `size` - 1."""
        return F.floor(self.uniform(purpose, *keys) * size)


def pick(weights: Mapping[str, float], uniform: Column) -> Column:
    """Return the key of `weights` at `uniform` of their cumulative shares."""
    total = sum(weights.values())
    reached = 0.0
    *but_last, last = [value for value, weight in weights.items() if weight > 0]
    picked: Column | None = None
    for value in but_last:
        reached += weights[value] / total
        below = uniform < F.lit(reached)
        picked = F.when(below, F.lit(value)) if picked is None else picked.when(below, F.lit(value))
    return F.lit(last) if picked is None else picked.otherwise(F.lit(last))


def exponential(uniform: Column, mean: float) -> Column:
    """Make an exponential draw with `mean` of a uniform one."""
    return -F.log(F.lit(1.0) - uniform) * F.lit(mean)
