"""Where one answer is shown: in words, as it was written, how likely the others were, and the routing."""

from dataclasses import dataclass
from typing import Any, Self

import gradio as gr

from ui.browser.pictures import frame, picture
from ui.plots import weights
from ui.views import playground as view


@dataclass(frozen=True)
class Outcome:
    """Its components."""

    said: gr.Textbox
    written: gr.Textbox
    label: gr.Label
    bars: gr.Plot

    @classmethod
    def build(cls, title: str) -> Self:
        """The components, in the place where this is called."""
        return cls(
            gr.Textbox(label=title, interactive=False, lines=3),
            gr.Textbox(
                label="What was written",
                interactive=False,
                visible=False,
                lines=3,
                max_lines=30,
                buttons=["copy"],
                autoscroll=False,
            ),
            gr.Label(label="Probabilities of the answer", num_top_classes=view.TOP, visible=False),
            frame("Weights of the router"),
        )

    @property
    def parts(self) -> list[gr.components.Component]:
        """All of them, in the order of `values`."""
        return [self.said, self.written, self.label, self.bars]

    @staticmethod
    def values(answer: dict[str, Any] | None) -> list[Any]:
        """What they show of an answer."""
        if answer is None:
            return ["", gr.Textbox("", visible=False), gr.Label(visible=False), picture(None)]
        written = answer["label"] if view.is_written(answer) else None
        shown = [
            view.sentence(answer),
            gr.Textbox(written or "", visible=written is not None),
            gr.Label(answer["probabilities"] or None, visible=bool(answer["probabilities"])),
        ]
        if not answer["generation"] or not any(answer["weights"].values()):
            return [*shown, picture(None)]
        bars = view.top(answer["weights"]), answer["task"]
        return [*shown, picture(weights.weights(*bars), weights.said(*bars))]
