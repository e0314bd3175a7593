"""Playground: a text in; who was chosen, why, and the answer out."""

from typing import Any

import gradio as gr

from registry import measured
from ui.browser import answer_table
from ui.browser.asking import answer, answer_file
from ui.browser.context import Context
from ui.browser.endpoints import endpoint, file_endpoint
from ui.browser.opening import when_opened
from ui.browser.outcome import Outcome
from ui.browser.question_form import NOBODY, PRODUCTION, ROUTER, Asked, QuestionForm
from ui.browser.shared import empty_state, same_as, warns
from ui.views import asking
from ui.views import playground as view

TITLE = "Playground"
PLACE = 10


class Tab:
    """Its handlers."""

    def __init__(self, context: Context) -> None:
        self.context = context

    def open(self) -> list[Any]:
        """What can be chosen now; what was chosen before stays chosen."""
        registry = self.context.registry()
        pools = [one.name for one in reversed(measured.summaries(registry))]
        experts = measured.names(registry)
        return [
            gr.Markdown(visible=not experts),
            gr.Dropdown([ROUTER, *experts]),
            gr.Dropdown([PRODUCTION, *pools]),
            gr.Dropdown([NOBODY, *pools]),
            gr.Button(interactive=bool(experts)),
        ]

    def show(self, asked: Asked) -> list[Any]:
        """Ask one generation, or two."""
        question = asked.input()
        first = answer(self.context, question, asked.manner)
        rival = None
        if asked.rival is not None:
            rival = answer(self.context, question, asked.otherwise())
        compared = "" if rival is None else view.comparison(first, rival)
        return [
            *Outcome.values(first),
            *Outcome.values(rival),
            gr.Column(visible=rival is not None),
            gr.Textbox(compared, visible=rival is not None),
            asking.command(question, asked.manner),
            asking.python(question, asked.manner),
        ]

    def predict(
        self,
        text: str,
        text_pair: str | None = None,
        generation: str | None = None,
        expert: str | None = None,
        fallback: str | None = None,
        top_k: int | None = None,
        temperature: float | None = None,
        top_p: float | None = None,
        seed: int | None = None,
        max_new_tokens: int | None = None,
        choices: list[str] | None = None,
    ) -> dict[str, Any]:
        """Answer a text: by a generation's router (by default production's), or by an expert. `temperature`
        to `max_new_tokens` say how an answer is written, `choices` what there is to choose from."""
        writing = {"temperature": temperature, "top_p": top_p, "seed": seed, "max_new_tokens": max_new_tokens}
        manner = asking.Manner.said(generation, expert, fallback, top_k, **writing)
        return answer(self.context, view.checked(text, text_pair, choices or ()), manner)

    def list_pools(self) -> list[dict[str, Any]]:
        """The generations that can answer, newest first, with their experts and aliases."""
        return view.list_pools(self.context.registry())

    def predict_table(
        self,
        file: str,
        request: gr.Request,
        *,
        generation: str | None = None,
        expert: str | None = None,
        fallback: str | None = None,
        top_k: int | None = None,
        temperature: float | None = None,
        top_p: float | None = None,
        seed: int | None = None,
        max_new_tokens: int | None = None,
    ) -> list[dict[str, Any]]:
        """Answer every row of a file; `options` may name a generation or an expert, and say how."""
        writing = {"temperature": temperature, "top_p": top_p, "seed": seed, "max_new_tokens": max_new_tokens}
        manner = asking.Manner.said(generation, expert, fallback, top_k, **writing)
        return answer_file(self.context, file, manner)


def build(context: Context) -> None:
    """Text, choices, answer; then a whole table."""
    tab = Tab(context)
    nothing = empty_state(
        "**There is nothing to ask yet.** Add a task, then fit the router: the tab *Add a task* does both, "
        "as do `registry add-task --data FILE` and `registry retrain-router`.",
        visible=False,
    )
    with gr.Row():
        with gr.Column():
            form = QuestionForm.build()
            ask = gr.Button("Answer", variant="primary")
        with gr.Column():
            first = Outcome.build("Answer")
        with gr.Column(visible=False) as beside:
            second = Outcome.build("Answer of the other")
    agreement = gr.Textbox(label="Side by side", interactive=False, visible=False)
    shell, python = same_as()
    opened = [nothing, form.expert, form.pool, form.other, ask]
    when_opened(tab.open, [], opened)
    # Stands before every event with inputs: Gradio's client takes the first event of a page for `/predict`,
    # and complains when it has more of them than that.
    gr.on(None, tab.open, None, opened, api_visibility="private")

    form.connect()

    @warns()
    def show(*given: Any) -> list[Any]:
        return tab.show(form.read(given))

    gr.on(
        [ask.click, form.text.submit],
        show,
        form.parts,
        [*first.parts, *second.parts, beside, agreement, shell, python],
        concurrency_id="answers",
        concurrency_limit=2,
        api_visibility="private",
    )
    file_endpoint("predict_table", tab.predict_table)
    endpoint("predict", tab.predict)
    endpoint("list_pools", tab.list_pools)
    answer_table.build(context, form)
