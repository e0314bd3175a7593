"""Which experts answer an input together, and how much each counts."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from registry.errors import InvalidSettingError, nearest

if TYPE_CHECKING:  # The names of the fallbacks are wanted where nothing is computed.
    from trainer.routers import Routing

ABSTAIN, TOP_K, BASE = "abstain", "top-k", "base"
FALLBACKS = (ABSTAIN, TOP_K, BASE)
SEVERAL = 3
"""Experts that answer together where none fits, unless a person says how many."""


@dataclass(frozen=True)
class Mix:
    """Slots of the experts that answer one input, and their weights, which sum to 1; from the one that counts
    most, unless a gate weighs them for each token.

    Attributes:
        bare: whether the base model answers by itself; then there are none.
        speaker: where a gate does: the slot whose head answers for all. `weights` are then means over the
            tokens, in the order of the slots. None: all heads vote.
    """

    slots: tuple[int, ...]
    weights: tuple[float, ...]
    bare: bool = False
    speaker: int | None = None

    @classmethod
    def alone(cls, slot: int) -> "Mix":
        """One expert."""
        return cls((slot,), (1.0,))

    @property
    def first(self) -> int:
        """The slot that counts most."""
        return self.slots[0] if self.speaker is None else self.speaker

    @property
    def heads(self) -> dict[int, float]:
        """Whose heads answer, and how much each counts."""
        return (
            dict(zip(self.slots, self.weights, strict=True)) if self.speaker is None else {self.speaker: 1.0}
        )

    @property
    def ranked(self) -> list[tuple[int, float]]:
        """Slots and weights, from the one that counts most."""
        pairs = list(zip(self.slots, self.weights, strict=True))
        if self.speaker is None:
            return pairs
        return sorted(pairs, key=lambda one: (one[0] != self.speaker, -one[1]))


NOBODY = Mix((), ())
BARE = Mix((), (), bare=True)


@dataclass(frozen=True)
class Policy:
    """How many experts answer an input where one fits, and where none does.

    Attributes:
        bare: whether the base model answers by itself where no expert does.
    """

    fitting: int
    other: int
    bare: bool = False

    @classmethod
    def of(cls, top_k: int | None = None, fallback: str | None = None) -> Self:
        """What a person asked for.

        | `top_k` | `fallback` | an expert fits | none fits |
        |---|---|---|---|
        | None | None or `abstain` | 1 | 0 |
        | k or None | `top-k` | 1 | k or 3 |
        | k | None | k | k |
        | k | `abstain` | k | 0 |
        | k or None | `base` | k or 1 | 0, but the base model |

        Raises:
            InvalidSettingError: `top_k` below 1, or an unknown fallback.
        """
        if fallback is not None and fallback not in FALLBACKS:
            known = ", ".join(FALLBACKS[:-1]) + f" or {FALLBACKS[-1]}"
            raise InvalidSettingError(
                f"fallback {fallback!r} is unknown: choose {known}.{nearest(fallback, FALLBACKS)}"
            )
        if top_k is not None and top_k < 1:
            raise InvalidSettingError(f"top-k {top_k} must be 1 or more: so many experts answer together")
        if fallback == TOP_K:
            return cls(1, top_k or SEVERAL)
        other = 0 if fallback is not None or top_k is None else top_k
        return cls(top_k or 1, other, bare=fallback == BASE)

    @property
    def most(self) -> int:
        """Experts that may answer one input."""
        return max(self.fitting, self.other, 1)

    def mixes(self, routing: "Routing", fits: Sequence[bool], kinds: Sequence[str]) -> list[Mix]:
        """The experts of each input: the best, and the next best of the same task kind, since those of others
        give other answers.

        Args:
            routing: one decision an input.
            kinds: of the expert of each slot.
        """
        best = routing.slots[:, 0].tolist()
        counts = [self.fitting if fit else self.other for fit in fits]
        found = []
        for row, (slot, count) in enumerate(zip(best, counts, strict=True)):
            if count > 1:
                found.append(_best(routing.weights[row, 0].tolist(), slot, count, kinds))
            else:
                found.append(Mix.alone(slot) if count else BARE if self.bare else NOBODY)
        return found


def _best(weights: Sequence[float], slot: int, count: int, kinds: Sequence[str]) -> Mix:
    alike = [other for other, kind in enumerate(kinds) if kind == kinds[slot]]
    # Experts without any weight change nothing.
    ordered = sorted(alike, key=lambda other: -weights[other])[:count]
    chosen = [other for other in ordered if weights[other] > 0]
    total = sum(weights[other] for other in chosen)
    return Mix(tuple(chosen), tuple(weights[other] / total for other in chosen))
