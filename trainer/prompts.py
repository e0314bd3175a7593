"""What the base model reads where an answer is written: the prompt, and in training the target after it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from registry.errors import DataRefusedError, InvalidSettingError
from trainer import kinds
from trainer.base_model import BaseModel
from trainer.data import Row
from trainer.data.refusals import printable, quoted
from trainer.inputs import Input
from trainer.layouts import Architecture
from trainer.sources import DEFAULT
from trainer.templates import Template
from trainer.tokens import Tokens


@dataclass(frozen=True)
class Prompts:
    """The prompts of an expert that writes: its template, around texts of at most `max_length` tokens.

    Attributes:
        limit: tokens of an answer, its end among them, unless a person says otherwise.
    """

    base: BaseModel
    template: Template
    max_length: int
    limit: int = 0

    @classmethod
    def of(cls, base: BaseModel, architecture: Architecture) -> "Prompts":
        """Those of an expert, as its description says."""
        config = architecture.task_config
        return cls(base, Template.of(config["template"]), architecture.max_length, config["max_new_tokens"])

    @property
    def goes_on(self) -> bool:
        """Whether a prompt begins with what routers read of the text, token by token."""
        plain = (("text",), ""), (("text", "pair"), "\n")
        return not self.template.before and (self.template.fields, self.template.between) in plain

    @cached_property
    def before(self) -> list[int]:
        """The tokens before the text."""
        if not self.template.before:
            return []
        return self.base.tokenize([self.template.before], self.base.max_positions)[0].ids

    @cached_property
    def after(self) -> list[int]:
        """The tokens after it."""
        return self.base.pieces(self.template.after)

    def read(self, asked: Input) -> Tokens:
        """The prompt of one input; choices stand after the text, one a line, in a fixed order. Where that is
        too long, it is cut, and never the template."""
        body = "\n".join([self.template.fill(asked.text, asked.pair), *sorted(asked.choices)])
        if self.before:
            ids = self.base.pieces(body)
            text = Tokens(ids[: self.max_length], [], len(ids) > self.max_length)
        else:
            [text] = self.base.tokenize([body], self.max_length)
        return _tokens([*self.before, *text.ids, *self.after], text.cut)

    def learn(self, asked: Input, target: str) -> Tokens:
        """The prompt, the target, and the end of the text."""
        prompt, own = self.read(asked), self.end(target)
        return replace(_tokens([*prompt.ids, *own], prompt.cut), target=len(own))

    def end(self, target: str) -> list[int]:
        """The tokens of a target, and the one that ends a text."""
        return [*self.base.pieces(target), self.base.end]

    def longest(self, rows: Sequence[Row], role: str, limit: int) -> int:
        """Tokens of the longest target, its end among them.

        Raises:
            DataRefusedError: a target has more than `limit`.
            InvalidSettingError: prompt and target may be more than the base model reads.
        """
        found = 0
        for row in rows:
            size = len(self.end(row.values[role]))
            if size > limit:
                raise DataRefusedError(
                    f"{printable(row.source)}: the {role} {quoted(row.values[role])} has {size:,} tokens, "
                    f"more than {limit:,}: shorten it, or raise --max-target"
                )
            found = max(found, size)
        whole = self.max_length + len(self.before) + len(self.after) + found
        if whole > self.base.max_positions:
            raise InvalidSettingError(
                f"max length {self.max_length} with template and {role} makes {whole:,} tokens, more than "
                f"{self.base.record.name} reads: choose at most "
                f"{max(1, self.max_length - whole + self.base.max_positions)}"
            )
        return found


def read_rows(base: BaseModel, architecture: Architecture, rows: Sequence[Row]) -> list[Tokens] | None:
    """Rows as an expert that writes learns them; None for one of another kind."""
    kind = kinds.load("tasks", architecture.task_kind)
    if not kind.WRITES:
        return None
    prompts = Prompts.of(base, architecture)
    return [prompts.learn(row.input, row.values[kind.TARGET]) for row in rows]


def check_writes(base: BaseModel, kind: str) -> None:
    """Refuse a base model that cannot write.

    Raises:
        InvalidSettingError: it is an encoder, or its texts have no end.
    """
    if not base.is_decoder:
        raise InvalidSettingError(
            f"{kind} needs a decoder, and {base.record.name} is an encoder: choose one with --base-model, "
            f"such as {DEFAULT}"
        )
    if base.tokenizer.eos_token_id is None:
        raise InvalidSettingError(
            f"{kind} needs a tokenizer with an end token, and that of {base.record.name} has none: choose "
            f"another base model, such as {DEFAULT}"
        )


def _tokens(ids: list[int], cut: bool) -> Tokens:
    return Tokens(ids, [0] * len(ids), cut)
