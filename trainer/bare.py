"""What the bare base model says of an input by itself: it goes on writing from the text."""

from jinja2.exceptions import TemplateError

from registry.errors import InvalidSettingError
from trainer.base_model import BaseModel
from trainer.prompts import Prompts
from trainer.templates import Template

LIMIT = 64
"""Tokens of an answer, its end among them, unless a person says otherwise: the base model has learnt none."""
_TEXT = "{text}"


def check_bare(base: BaseModel) -> None:
    """Refuse a base model that cannot answer by itself.

    Raises:
        InvalidSettingError: it is an encoder, or its texts have no end.
    """
    name = base.record.name
    if not base.is_decoder:
        raise InvalidSettingError(
            f"fallback base needs a base model that writes, and {name} is an encoder: choose abstain or top-k"
        )
    if base.tokenizer.eos_token_id is None:
        raise InvalidSettingError(
            f"fallback base needs a tokenizer with an end token, and that of {name} has none: choose abstain "
            "or top-k"
        )


def bare_prompts(base: BaseModel, max_length: int) -> Prompts:
    """How it is asked: as its own chat template says, around texts of at most `max_length` tokens; without
    one it is given the text alone."""
    prompts = Prompts(base, _chat(base), max_length, LIMIT)
    room = base.max_positions - len(prompts.before) - len(prompts.after) - 1
    return Prompts(base, prompts.template, max(1, min(max_length, room)), LIMIT)


def _chat(base: BaseModel) -> Template:
    """What stands around one question in a chat; nothing where there is no template, or one that does not
    take a question as it is."""
    plain = Template("", ("text",), "", "")
    if not base.tokenizer.chat_template:
        return plain
    try:
        written: str = base.tokenizer.apply_chat_template(
            [{"role": "user", "content": _TEXT}], tokenize=False, add_generation_prompt=True
        )
    except TemplateError:
        return plain
    before, *after = written.split(_TEXT)
    return Template(before, ("text",), "", after[0]) if len(after) == 1 else plain
