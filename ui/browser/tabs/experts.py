"""Experts: a table of them, and the card of one with what can be done about it."""

from typing import Any

import gradio as gr

from registry.errors import RegistryError
from ui.browser import expert_card
from ui.browser.context import Context
from ui.browser.downloads import copy_of
from ui.browser.endpoints import endpoint
from ui.browser.opening import clicked, filled, linked, table, when_opened
from ui.browser.shared import beside, call, command, empty_state, heading, same_as, warns
from ui.present import size
from ui.views.experts import list_experts, show_expert
from ui.views.intervals import with_interval
from ui.views.programs import program
from ui.views.retirements import in_words
from ui.views.rows import show_data

TITLE = "Experts"
PLACE = 20
HEADERS = (
    *("expert", "kind", "shape", "parameters", "size", "test (95 %)", "aliases", "retired"),
    *("digest", "made (UTC)"),
)
WIDTHS = (150, 150, 140, 110, 90, 190, 150, 150, 130, 160)
TASK = "its task, with all versions"
UNCHANGED = ("", gr.skip(), gr.skip())
NOTHING = "There is no expert yet. Add a first task in the tab *Add a task*: texts and labels are enough."
NO_MATCH = "No expert has this in its name, kind, alias or digest. Clear the box to see them all."


class Tab:
    """Its handlers."""

    def __init__(self, context: Context) -> None:
        self.context = context

    @warns()
    def find(self, text: str, all_versions: bool) -> Any:
        """The table, and what to do when it is empty."""
        found = list_experts(self.context.registry(), text=text, all_versions=all_versions)
        rows = [
            [
                one["name"],
                one["kind"],
                " ".join([one["adapter"], *one["shape"].split(", ")[:1]]),
                f"{one['parameters']:,}",
                size(one["bytes"]),
                with_interval(one["test"]),
                ", ".join(one["aliases"]),
                in_words(one["retired"], one["name"]),
                one["sha256"][:12],
                one["created_at"][:16],
            ]
            for one in found
        ]
        said = NO_MATCH if text.strip() else NOTHING
        return gr.Markdown(said, visible=not found), filled(rows)

    def show_clicked(self, event: gr.SelectData) -> Any:
        """The card of the row that was chosen."""
        return self.show(clicked(event))

    @warns()
    def follow(self, shown: str, request: gr.Request) -> Any:
        """The card that the address of the page names, as long as no other is shown."""
        wanted = linked(request, "experts")
        return self.show(wanted) if wanted and not shown else gr.skip()

    @warns()
    def show(self, name: str) -> Any:
        """The card of an expert; what of it is damaged is said in its place."""
        if not name.strip():
            return ["", "", gr.Column(visible=False), *expert_card.blank()]
        registry = self.context.registry()
        found = show_expert(registry, name.strip())
        try:
            data: dict[str, Any] | str = show_data(
                registry, found["task"], int(found["dataset"].rpartition("@")[2])
            )
        except RegistryError as error:
            data = str(error)
        name = found["name"]
        return [name, heading(name), gr.Column(visible=True), *expert_card.values(found, data)]

    @warns(*UNCHANGED)
    def evaluate(self, name: str, split: str, request: gr.Request) -> Any:
        """Ask a worker to measure an expert."""
        said = self.evaluate_expert(name, split, request)
        code = program(
            f"print(evaluate(registry, {name!r}, split={split!r}).metrics)",
            imported="from trainer import evaluate",
        )
        return said, command("evaluate", name, "--split", split), code

    @warns(*UNCHANGED)
    def promote(self, name: str, alias: str, reason: str, request: gr.Request) -> Any:
        """Let an alias of the task stand for an expert."""
        said = self.promote_expert(name, alias, reason, request)
        words = ["promote", name, "--alias", alias, *(["--reason", reason] if reason else [])]
        return said, command(*words), program(call("registry.promote", name, alias=alias, reason=reason))

    @warns(*UNCHANGED)
    def retire_shown(self, name: str, what: str, reason: str, request: gr.Request) -> Any:
        """Retire the expert on the card, or its task."""
        return self._retire(name, what, reason, False, request)

    @warns(*UNCHANGED)
    def take_back(self, name: str, what: str, reason: str, request: gr.Request) -> Any:
        """Take the retirement of the expert on the card back, or that of its task."""
        return self._retire(name, what, reason, True, request)

    def _retire(self, name: str, what: str, reason: str, undo: bool, request: gr.Request) -> Any:
        expert = self.context.registry().expert(name)
        subject = expert.task if what == TASK else expert.name
        said = self.retire(subject, request, reason, undo)
        words = ["retire", subject, *(["--undo"] if undo else []), *(["--reason", reason] if reason else [])]
        function = "registry.retirements.undo" if undo else "registry.retirements.retire"
        return said, command(*words), program(call(function, subject, reason=reason))

    @warns()
    def prepare(self, name: str) -> Any:
        """The frozen tensors as a file to download."""
        registry = self.context.registry()
        expert = registry.expert(name)
        return gr.DownloadButton(
            f"Download {expert.name}.safetensors", value=copy_of(registry, expert), interactive=True
        )

    def list_experts(self, text: str = "", all_versions: bool = False) -> dict[str, Any]:
        """The newest expert of each task, or every version; those whose name, kind or alias holds `text`."""
        return {"experts": list_experts(self.context.registry(), text=text, all_versions=all_versions)}

    def show_expert(self, name: str) -> dict[str, Any]:
        """Everything about one expert: numbers, settings, training curve, lineage, what is damaged."""
        return show_expert(self.context.registry(), name)

    def show_data(self, task: str, version: int | None = None) -> dict[str, Any]:
        """A version of a task's rows: counts, balance, lengths, examples."""
        return show_data(self.context.registry(), task, version)

    def evaluate_expert(self, name: str, split: str, request: gr.Request) -> str:
        """Puts a measurement in the queue; says which job it is."""
        from trainer.jobs.evaluate import submit

        self.context.require(request)
        registry = self.context.registry()
        job = submit(registry, registry.expert(name).name, split=split, device=self.context.device)
        return f"Job {job.id} measures {job.params['ref']} on its {split} rows; see the tab Jobs."

    def promote_expert(self, name: str, alias: str, reason: str, request: gr.Request) -> str:
        """Lets an alias of the task, such as `stable`, stand for an expert."""
        user = self.context.require(request)
        registry = self.context.registry()
        moved = registry.promote(registry.expert(name).name, alias=alias, reason=reason, actor=user)
        return f"{moved.ref} now stands for {moved.target}."

    def retire(self, name: str, request: gr.Request, reason: str = "", undo: bool = False) -> str:
        """Keeps a task or an expert out of generations to come, or takes that back."""
        user = self.context.require(request)
        retirements = self.context.registry().retirements
        event = (retirements.undo if undo else retirements.retire)(name, reason=reason, actor=user)
        if event is None:
            return f"{name} is not retired."
        return f"{event.subject} is retired{'' if event.retired else ' no more'}."


def build(context: Context) -> None:
    """The table, and below it one card."""
    tab = Tab(context)
    nothing = empty_state(NOTHING, visible=False)
    with gr.Row():
        text = gr.Textbox(
            label="Find", info="Part of a name, kind, alias or digest; Enter searches.", max_lines=1
        )
        versions = gr.Checkbox(label="Every version", info="Not only the newest of each task.")
    listed = table("Choose a row to see its card", *HEADERS, widths=WIDTHS, empty=False)
    with beside():
        name = gr.Textbox(
            label="Expert",
            info="A task's newest, a version or an alias.",
            placeholder="sst2, sst2@3 or sst2@stable",
            max_lines=1,
        )
        show = gr.Button("Show", scale=0)
    # What is shown is kept apart from the box: written into it, it would take away what somebody is typing.
    chosen = gr.State("")
    with gr.Column(visible=False) as card:
        title = gr.Markdown()
        parts = expert_card.components()
        done = _actions(tab, chosen)
    outputs = [chosen, title, card, *parts]
    shown, given = [nothing, listed], [text, versions]
    when_opened(tab.find, given, shown)
    when_opened(tab.follow, [chosen], outputs)
    gr.on([text.submit, versions.change], tab.find, given, shown, api_visibility="private")
    listed.select(tab.show_clicked, None, outputs, api_visibility="private")
    gr.on([show.click, name.submit], tab.show, name, outputs, api_visibility="private")
    done.change(tab.find, given, shown, api_visibility="private")
    done.change(tab.show, chosen, outputs, api_visibility="private")
    for function in (
        tab.list_experts,
        tab.show_expert,
        tab.show_data,
        tab.evaluate_expert,
        tab.promote_expert,
        tab.retire,
    ):
        endpoint(function.__name__, function)


def _actions(tab: Tab, chosen: gr.State) -> gr.Textbox:
    """What can be done about the expert on the card; gives the box that says what was done."""
    gr.Markdown("### What to do with it")
    with beside():
        split = gr.Radio(
            ["test", "validation"], value="test", label="Rows to measure it on", info="Of its own task."
        )
        evaluate = gr.Button("Measure it again")
    with beside():
        alias = gr.Textbox(
            "stable", label="Alias of its task", info="A name that you can move later.", max_lines=1
        )
        reason = gr.Textbox(label="Why", info="Kept in the history.", max_lines=1)
        promote = gr.Button("Let the alias stand for it")
    with beside():
        what = gr.Radio(
            ["this version", TASK],
            value="this version",
            label="What to retire",
            info="Kept out of generations to come.",
        )
        why = gr.Textbox(label="Why it is retired, or wanted again", info="Kept in the history.", max_lines=1)
        retire = gr.Button("Retire: keep it out of generations to come", variant="stop")
        back = gr.Button("Take it back")
    with gr.Row():
        prepare = gr.Button("Prepare its file")
        download = gr.DownloadButton("Download", interactive=False)
    done = gr.Textbox(label="Done", interactive=False)
    told = [done, *same_as("What was done, as a command and in Python")]
    evaluate.click(tab.evaluate, [chosen, split], told, api_visibility="private")
    promote.click(tab.promote, [chosen, alias, reason], told, api_visibility="private")
    retire.click(tab.retire_shown, [chosen, what, why], told, api_visibility="private")
    back.click(tab.take_back, [chosen, what, why], told, api_visibility="private")
    prepare.click(tab.prepare, chosen, download, api_visibility="private")
    return done
