"""Audit: everything that was ever done, newest first, with filters."""

from typing import Any

import gradio as gr

from registry import audit
from ui.browser.context import Context
from ui.browser.endpoints import endpoint
from ui.browser.opening import filled, table, when_opened
from ui.browser.shared import command, same_as, warns
from ui.views.audit import list_events

TITLE = "Audit"
PLACE = 80
WIDTHS = (180, 110, 170, 90, 650)


class Tab:
    """Its handlers."""

    def __init__(self, context: Context) -> None:
        self.context = context

    @warns()
    def show(self, kinds: list[str], subject: str, actor: str, text: str, page: float | None) -> Any:
        """One page of events, what it is a page of, and the same as a command."""
        found = list_events(
            self.context.registry(),
            kinds=kinds,
            subject=subject,
            actor=actor,
            text=text,
            page=int(page or 1),
        )
        rows = [
            [one["at"], one["kind"], one["subject"], one["actor"] or "", one["what"]]
            for one in found["events"]
        ]
        said = f"{found['total']:,} events, page {found['page']:,} of {found['pages']:,}"
        return filled(rows), said if rows else "Nothing found" + _hint(bool(found["total"]), found["pages"])

    def list_events(
        self, kinds: list[str], subject: str = "", actor: str = "", text: str = "", page: int = 1
    ) -> dict[str, Any]:
        """Events of some kinds (of all, if none is named) whose subject, actor or any text holds these."""
        return list_events(
            self.context.registry(), kinds=kinds, subject=subject, actor=actor, text=text, page=page
        )


def build(context: Context) -> None:
    """Filters, and the list."""
    tab = Tab(context)
    with gr.Row():
        kinds = gr.Dropdown(
            list(audit.KINDS), multiselect=True, value=[], label="Kinds", info="None chosen: all."
        )
        subject = gr.Textbox(label="Subject", info="As sst2@3, router@production, job 5.", max_lines=1)
        actor = gr.Textbox(label="Actor", info="Who did it.", max_lines=1)
        text = gr.Textbox(label="Any text", info="Such as a reason.", max_lines=1)
        page = gr.Number(1, label="Page", info="The newest are on the first.", precision=0, minimum=1)
    find = gr.Button("Find")
    said = gr.Textbox(label="Found", interactive=False)
    listed = table(
        "Events, newest first",
        "time (UTC)",
        "kind",
        "subject",
        "actor",
        "what",
        height=700,
        widths=WIDTHS,
        empty=False,
    )
    shell, python = same_as()
    shell.value = command("history", "production")
    python.value = "from registry import Registry, audit\n\nevents, total = audit.events(Registry())"
    given, shown = [kinds, subject, actor, text, page], [listed, said]
    when_opened(tab.show, given, shown)
    gr.on(
        [find.click, subject.submit, actor.submit, text.submit, page.submit, kinds.change],
        tab.show,
        given,
        shown,
        api_visibility="private",
    )
    endpoint("list_events", tab.list_events)


def _hint(any_at_all: bool, pages: int) -> str:
    if any_at_all:
        return f": there are {pages:,} pages."
    return ". Clear the filters, or add a first task in the tab Add a task."
