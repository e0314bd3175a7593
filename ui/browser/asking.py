"""Asking a generation or an expert, as the page and the API do."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from registry.errors import DamagedError, DataRefusedError, NotFoundError
from ui.browser.context import Context
from ui.views import playground as view
from ui.views.adding import told_by_name
from ui.views.asking import Manner

if TYPE_CHECKING:
    from trainer.inputs import Given, Input


def answer(context: Context, asked: "Input", manner: Manner) -> dict[str, Any]:
    """One answer: of a generation's choice, or of an expert that is named."""
    return view.answer(_ask(context, [asked], manner)[0])


def answer_file(context: Context, file: str, manner: Manner) -> list[dict[str, Any]]:
    """An answer to each row of a file.

    Raises:
        DataRefusedError: it cannot be taken as it is, or has more rows than are answered here.
    """
    from trainer.data import read_texts

    try:
        texts = read_texts(file)
    except (DataRefusedError, NotFoundError) as error:
        raise DataRefusedError(told_by_name(error, file)) from None
    view.check_count(texts)
    return [view.answer(one) for one in _ask(context, list(texts), manner)]


def _ask(context: Context, texts: "Sequence[Given]", manner: Manner) -> list[Any]:
    """An expert that is named answers whether it fits or not."""
    how: dict[str, Any] = {"decoding": manner.decoding}
    generation = manner.generation
    if manner.expert is None:
        return context.moe(generation).predict(texts, **how, **manner.policy)
    name = context.registry().expert(manner.expert).name
    default = generation or view.default_pool(context.registry())
    if default is not None and name in context.registry().generation(default).experts:
        try:
            return context.moe(default).predict(texts, expert=name, **how)
        except DamagedError:
            if generation is not None:
                raise
            # The damaged file may be that of another expert.
            return context.moe(expert=name).predict(texts, **how)
    if generation is not None:
        raise NotFoundError(f"expert {name} is not in the pool of {generation}; ask it without a generation")
    return context.moe(expert=name).predict(texts, **how)
