"""Prompt templates: what stands around a text that an answer is written after. Nothing here needs torch."""

from collections.abc import Iterable
from dataclasses import dataclass
from string import Formatter

from registry.errors import InvalidSettingError
from trainer.data.refusals import quoted

ROLES = {"text": "text", "pair": "text_pair"}
"""What may stand in braces, and the role of the column that takes its place."""
LONGEST = 2_000
"""Characters of a template."""


@dataclass(frozen=True)
class Template:
    """A template, taken apart.

    Attributes:
        before, after: the fixed text around what is asked.
        fields: the names in braces, in their order; between: the text between them.
    """

    before: str
    fields: tuple[str, ...]
    between: str
    after: str

    @classmethod
    def of(cls, written: str) -> "Template":
        """Read a template such as `{text}` and a line break.

        Raises:
            InvalidSettingError: it is too long, its braces are not in pairs, something else than `text` and
                `pair` stands in them, or one of them twice, or no text.
        """
        if len(written) > LONGEST:
            raise InvalidSettingError(
                f"a template of {len(written):,} characters is too long: {LONGEST:,} at most"
            )
        try:
            parts = list(Formatter().parse(written))
        except ValueError as reason:
            raise _refused(written, f"cannot be read, {reason}") from None
        texts, fields = [""], []
        for literal, field, form, conversion in parts:
            texts[-1] += literal
            if field is None:
                continue
            if field not in ROLES or form or conversion:
                raise _refused(written, "holds something else in braces")
            fields.append(field)
            texts.append("")
        if "text" not in fields:
            raise _refused(written, "has no {text}")
        if len({*fields}) < len(fields):
            raise _refused(written, "names one of its parts twice")
        return cls(texts[0], tuple(fields), "".join(texts[1:-1]), texts[-1])

    @classmethod
    def plain(cls, roles: Iterable[str]) -> str:
        """The template where none is given: what is asked, and a line break."""
        return "{text}\n{pair}\n" if "text_pair" in roles else "{text}\n"

    def check(self, roles: Iterable[str]) -> None:
        """Refuse a template that leaves out the pair, or names one that rows do not have.

        Raises:
            InvalidSettingError: which of the two.
        """
        named = "pair" in self.fields
        if named and "text_pair" not in roles:
            raise InvalidSettingError("the template names {pair}, and these rows have no second text")
        if not named and "text_pair" in roles:
            raise InvalidSettingError("these rows have a second text: say with {pair} where it stands")

    def fill(self, text: str, pair: str | None) -> str:
        """What stands between `before` and `after`: a pair without a place of its own follows its text, and
        the place of one that is missing stays empty."""
        if pair is not None and "pair" not in self.fields:
            text = f"{text}\n{pair}"
        values = {"text": text, "pair": pair or ""}
        return self.between.join(values[field] for field in self.fields)


def _refused(written: str, why: str) -> InvalidSettingError:
    return InvalidSettingError(
        f"the template {quoted(written)} {why}: it needs {{text}}, may have {{pair}} for a second text, and"
        " a brace that is meant as one is written twice"
    )
