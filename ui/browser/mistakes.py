"""What a generation's router got wrong: whose texts went where, and how sure it was."""

from typing import Any

import gradio as gr

from ui.browser.context import Context
from ui.browser.endpoints import endpoint
from ui.browser.generation_card import Mixed
from ui.browser.opening import filled, table
from ui.browser.pictures import frame, picture
from ui.browser.shared import warns
from ui.plots import calibration as calibration_plot
from ui.plots import confusion as confusion_plot
from ui.views import routing

TEXTS = (140, 480, 250, 120, 90, 120)
HEADERS = ("sent to", "text", "second text", "label", "weight", "weight of its own")


class Mistakes:
    """The handlers of what shows them."""

    def __init__(self, context: Context) -> None:
        self.context = context

    def in_row(self, name: str, event: gr.SelectData) -> Any:
        """The texts behind a row of the table of what was mixed up."""
        row = event.row_value
        return self.show(name, str(row[0]), str(row[1]))

    def chosen(self, name: str, pair: str | None) -> Any:
        """The texts behind a choice of the list of what was mixed up."""
        task, _, sent = (pair or "").partition(" ")
        return self.show(name, task, sent) if task else ("", filled([]))

    @warns()
    def in_picture(self, name: str, event: gr.SelectData) -> Any:
        """The texts behind a field of the picture."""
        mixed = routing.show_confusion(self.context.registry(), name)
        found = confusion_plot.pair_at(mixed, *map(float, event.index))
        return gr.skip() if found is None else self.show(name, *found)

    @warns()
    def show(self, name: str, task: str, sent: str | None) -> Any:
        """What is shown, and the texts of a task that went to another's expert; to any without a name."""
        found = [] if sent == task else routing.list_mistakes(self.context.registry(), name, task, sent)
        to = "the expert of another task" if sent is None else f"the expert of {sent}"
        first = f"the first {routing.MISTAKES:,}" if len(found) == routing.MISTAKES else f"{len(found):,}"
        said = f"Rows of {task} that {name} sent to {to}: {first}."
        texts = [
            [
                one["sent"],
                one["text"],
                one["text_pair"] or "",
                one["label"] or "",
                f"{one['weight']:.3f}",
                f"{one['own_weight']:.3f}",
            ]
            for one in found
        ]
        if sent == task:
            said = f"Rows of {task} in its own column were sent right."
        return said, filled(texts)

    @warns()
    def calibrate(self, name: str) -> Any:
        """The reliability diagram, and what it says in words."""
        found = routing.show_calibration(self.context.registry(), name.strip() or None)
        if not found["rows"]:
            return picture(None), "There are no test rows."
        said = (
            f"On {found['rows']:,} test rows of {found['tasks']:,} of {found['all_tasks']:,} tasks, the "
            f"weight that it gives its choice is {100 * found['error']:.1f} points away from how often it is "
            "right (expected calibration error)."
        )
        return picture(calibration_plot.draw(found), calibration_plot.said(found)), said

    def show_confusion(self, name: str | None = None) -> dict[str, Any]:
        """Where a generation sent each task's test rows."""
        return routing.show_confusion(self.context.registry(), name)

    def list_mistakes(self, name: str, task: str, sent: str | None = None) -> dict[str, Any]:
        """The test rows of a task that a generation sends to another task's expert."""
        return {"mistakes": routing.list_mistakes(self.context.registry(), name, task, sent)}

    def show_calibration(self, name: str | None = None) -> dict[str, Any]:
        """How often the router is right when it is so sure."""
        return routing.show_calibration(self.context.registry(), name)


def build(context: Context, shown: gr.State, mixed: Mixed) -> None:
    """The texts behind what is chosen in `mixed`, and the calibration, of the generation that is shown."""
    mistakes = Mistakes(context)
    which = gr.Textbox(label="What was chosen", interactive=False)
    texts = table("The texts that went wrong", *HEADERS, widths=TEXTS, empty=False)
    with gr.Row():
        calibrate = gr.Button("Measure how sure it is")
        said = gr.Textbox(label="Calibration", interactive=False)
    diagram = frame("Reliability diagram")
    forgotten = [which, texts, diagram, said]
    shown.change(lambda: ("", filled([]), picture(None), ""), None, forgotten, api_visibility="private")
    quiet: dict[str, Any] = {"api_visibility": "private", "show_progress": "minimal"}
    mixed.heat.select(mistakes.in_picture, shown, [which, texts], **quiet)
    mixed.choice.input(mistakes.chosen, [shown, mixed.choice], [which, texts], **quiet)
    mixed.pairs.select(mistakes.in_row, shown, [which, texts], **quiet)
    calibrate.click(mistakes.calibrate, shown, [diagram, said], api_visibility="private")
    for function in (mistakes.show_confusion, mistakes.list_mistakes, mistakes.show_calibration):
        endpoint(function.__name__, function)
