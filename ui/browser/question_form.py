"""The form of a question: a text, whom it is put to, and how the answer is to be given."""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Self

import gradio as gr

from trainer.inputs import Input
from trainer.mixes import ABSTAIN, BASE, FALLBACKS, TOP_K
from ui.views import playground as view
from ui.views.asking import Manner

PRODUCTION = "production, else the newest"
NOBODY = "nobody"
ROUTER = "the router"
SAID = {
    ABSTAIN: "nobody answers",
    TOP_K: "the best few answer together",
    BASE: "the base model answers by itself",
}
LIKELIEST, DRAWN = "likeliest", "drawn"


@dataclass(frozen=True)
class Asked:
    """What a form held when it was sent.

    Attributes:
        rival: the generation that is asked beside it; None: none.
    """

    text: str
    pair: str | None
    choices: tuple[str, ...]
    manner: Manner
    rival: str | None

    def input(self) -> Input:
        """What is asked.

        Raises:
            InvalidSettingError: there is no text, or it is too long; one choice alone.
        """
        return view.checked(self.text, self.pair, self.choices)

    def otherwise(self) -> Manner:
        """How the rival is asked: as the router sees it."""
        return replace(self.manner, generation=self.rival, expert=None)


@dataclass(frozen=True)
class QuestionForm:
    """Everything that can be said of a question."""

    text: gr.Textbox
    pair: gr.Textbox
    choices: gr.Textbox
    expert: gr.Dropdown
    pool: gr.Dropdown
    other: gr.Dropdown
    fallback: gr.Dropdown
    top_k: gr.Number
    words: gr.Radio
    longest: gr.Number
    temperature: gr.Number
    top_p: gr.Number
    seed: gr.Number
    drawing: gr.Row

    @classmethod
    def build(cls) -> Self:
        """The components, in the place where this is called."""
        text = gr.Textbox(
            label="Text",
            info="What is asked; Shift and Enter send it.",
            lines=4,
            max_length=view.MOST_CHARACTERS,
            autofocus=True,
        )
        with gr.Accordion("A second text, or choices", open=False):
            pair = gr.Textbox(label="Second text", info="For tasks on pairs.", lines=1)
            choices = gr.Textbox(
                label="Choices", info="For tasks that choose among answers: one a line.", lines=4
            )
        with gr.Accordion("Who answers", open=False):
            whom = _whom()
        with gr.Accordion("How answers are written", open=False):
            how = _how()
        return cls(text, pair, choices, *whom, *how)

    @property
    def parts(self) -> list[gr.components.Component]:
        """All of them, in the order of `read`."""
        return [getattr(self, name) for name in _NAMES]

    def connect(self) -> None:
        """Shows what is said of drawing only where words are drawn."""
        self.words.change(
            lambda words: gr.Row(visible=words == DRAWN),
            self.words,
            self.drawing,
            api_visibility="private",
            show_progress="hidden",
        )

    def read(self, values: Sequence[Any]) -> Asked:
        """What the values of all parts say."""
        given = dict(zip(_NAMES, values, strict=True))
        top_k = int(given["top_k"] or 0) or None
        fallback = given["fallback"] or ABSTAIN
        manner = Manner(
            generation=_named(given["pool"], PRODUCTION),
            expert=_named(given["expert"], ROUTER),
            fallback=None if fallback == ABSTAIN and top_k is None else fallback,
            top_k=top_k,
            writing=_writing(given),
        )
        return Asked(
            text=given["text"] or "",
            pair=given["pair"],
            choices=tuple(line.strip() for line in (given["choices"] or "").split("\n") if line.strip()),
            manner=manner,
            rival=_named(given["other"], NOBODY),
        )


_NAMES = [field.name for field in fields(QuestionForm) if field.name != "drawing"]


def _whom() -> list[gr.components.Component]:
    expert = _choice(ROUTER, "Who answers", "The router's choice, or an expert of yours.")
    with gr.Row():
        pool = _choice(PRODUCTION, "Generation", "Whose router chooses.")
        other = _choice(NOBODY, "Compare with", "A generation that is asked too.")
    with gr.Row():
        fallback = gr.Dropdown(
            [(SAID.get(name, name), name) for name in FALLBACKS],
            value=ABSTAIN,
            label="If no expert fits",
            info="To texts unlike known ones.",
        )
        top_k = gr.Number(
            0, label="Experts that answer together", info="0: one, or 3 where none fits.", precision=0
        )
    return [expert, pool, other, fallback, top_k]


def _how() -> list[Any]:
    words = gr.Radio(
        [("the likeliest at each step", LIKELIEST), ("drawn at random", DRAWN)],
        value=LIKELIEST,
        label="Words",
        info="Of experts that write; the others take no notice.",
    )
    longest = gr.Number(
        0, label="Tokens at most", info="0: as many as the longest answer that was learnt.", precision=0
    )
    with gr.Row(visible=False) as drawing:
        temperature = gr.Number(1.0, label="Temperature", info="How freely: above 0, to 10.", step=0.1)
        top_p = gr.Number(1.0, label="Top-p", info="Share of the likeliest.", step=0.05)
        seed = gr.Number(0, label="Seed", info="Another draws otherwise.", precision=0)
    return [words, longest, temperature, top_p, seed, drawing]


def _choice(first: str, label: str, info: str) -> gr.Dropdown:
    return gr.Dropdown([first], value=first, label=label, info=info, allow_custom_value=True)


def _named(chosen: str | None, nothing: str) -> str | None:
    return None if not chosen or chosen == nothing else chosen


def _writing(given: dict[str, Any]) -> dict[str, Any]:
    """Fields of `trainer.Decoding`, where they differ from its defaults."""
    found: dict[str, Any] = {}
    if given["words"] == DRAWN:
        found["temperature"] = 1.0 if given["temperature"] is None else given["temperature"]
        if given["top_p"] not in (None, 1):
            found["top_p"] = given["top_p"]
        if given["seed"]:
            found["seed"] = int(given["seed"])
    if given["longest"]:
        found["max_new_tokens"] = int(given["longest"])
    return found
