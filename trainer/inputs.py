"""What is asked: a text, with its pair or with choices where it has them. Nothing here needs torch."""

from collections.abc import Iterable
from dataclasses import dataclass

from registry.errors import InvalidSettingError

Text = str | tuple[str, str | None]
"""A text, or a text and its pair."""


@dataclass(frozen=True, slots=True)
class Input:
    """One thing that is asked.

    Attributes:
        pair: a second text; choices: answers to choose from, in an order that says nothing.

    Raises:
        InvalidSettingError: one choice alone, or an empty one.
    """

    text: str
    pair: str | None = None
    choices: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse choices that are none."""
        if len(self.choices) == 1:
            raise InvalidSettingError(f"one choice is none: {self.choices[0]!r} needs another beside it")
        if not all(choice.strip() for choice in self.choices):
            raise InvalidSettingError("a choice is empty: each is a text")

    @classmethod
    def of(cls, given: "Given") -> "Input":
        """What was given, as an input."""
        if isinstance(given, Input):
            return given
        return cls(given) if isinstance(given, str) else cls(*given)

    @property
    def sequences(self) -> list[tuple[str, str | None]]:
        """What the base model reads: one text or pair; with choices one for each of them, so that none sees
        the others."""
        if not self.choices:
            return [(self.text, self.pair)]
        asked = self.text if self.pair is None else f"{self.text}\n{self.pair}"
        return [(asked, choice) for choice in self.choices]

    @property
    def words(self) -> str:
        """All of it as routers of text read it: its parts joined by line breaks, choices in a fixed order."""
        parts = [self.text, *([] if self.pair is None else [self.pair]), *sorted(self.choices)]
        return "\n".join(parts)


Given = Input | Text
"""An input as callers may write it."""


def words(inputs: Iterable[Input]) -> list[str]:
    """Inputs as routers of text read them."""
    return [one.words for one in inputs]
