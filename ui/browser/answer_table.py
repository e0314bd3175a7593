"""A file of texts, answered row by row: as a table, and as a file to download."""

from pathlib import Path
from typing import Any

import gradio as gr

from registry.errors import NotFoundError
from ui.browser.asking import answer_file
from ui.browser.context import Context
from ui.browser.opening import table
from ui.browser.question_form import QuestionForm
from ui.browser.shared import command, same_as, warns
from ui.browser.task_form import ENDINGS
from ui.views import playground as view

Shown = tuple[str, list[list[Any]], gr.DownloadButton, str]


def build(context: Context, form: QuestionForm) -> None:
    """The file, and its answers as the form asks for them."""
    with gr.Accordion("Answer a whole table", open=False):
        gr.Markdown(
            f"CSV, TSV, JSON Lines or Parquet with a column of texts; at most {view.MOST_ROWS:,} rows here, "
            "any number with `registry predict --data FILE`. Who answers, and how, is as chosen above."
        )
        file = gr.File(label="File", file_types=ENDINGS, type="filepath")
        go = gr.Button("Answer the table")
        said = gr.Textbox(label="Result", interactive=False)
        rows = table("Answers", *view.COLUMNS, numbers=("probability", "weight", "margin"))
        download = gr.DownloadButton("Download as CSV", interactive=False)
        shell, _ = same_as("The same as a command")

    @warns()
    def show(file: str | None, *given: Any) -> Shown:
        """Answer every row of a file; the CSV file holds nothing that spreadsheets take for a formula."""
        if file is None:
            raise NotFoundError("there is no file yet: choose one")
        manner = form.read(given).manner
        answers = answer_file(context, file, manner)
        lines = view.table(answers)
        made = Path(file).with_name("answers.csv")
        made.write_bytes(view.to_csv(view.COLUMNS, lines))
        return (
            view.counted(answers),
            lines,
            gr.DownloadButton(value=str(made), interactive=True),
            command("predict", "--data", Path(file).name, *manner.options()),
        )

    go.click(
        show,
        [file, *form.parts],
        [said, rows, download, shell],
        concurrency_id="answers",
        concurrency_limit=2,
        api_visibility="private",
    )
