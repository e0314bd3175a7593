"""Asking a generation or an expert, as the page and the API do."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from registry.errors import DamagedError, NotFoundError
from ui.browser.context import Context
from ui.views import playground as view

if TYPE_CHECKING:
    from trainer.decoding import Decoding
    from trainer.inputs import Given


def answer(
    context: Context,
    text: str,
    pair: str | None,
    generation: str | None,
    expert: str | None,
    **how: Any,
) -> dict[str, Any]:
    """One answer: of a generation's choice, or of an expert that is named.

    Args:
        how: `decoding`, and, where no expert is named, `fallback` and `top_k`; see `trainer.MoE.stream`.
    """
    return view.answer(ask_for(context, [view.checked(text, pair)], generation, expert, **how)[0])


def ask_for(
    context: Context,
    texts: "Sequence[Given]",
    generation: str | None,
    expert: str | None,
    decoding: "Decoding | None" = None,
    **policy: Any,
) -> list[Any]:
    """An expert that is named answers whether it fits or not."""
    how: dict[str, Any] = {} if decoding is None else {"decoding": decoding}
    if expert is None:
        return context.moe(generation).predict(texts, **how, **policy)
    name = context.registry().expert(expert).name
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
