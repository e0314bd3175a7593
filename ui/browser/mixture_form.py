"""The form of a mixture: experts that act together on every token, by a gate that is trained on a corpus."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import gradio as gr

from registry.errors import DataRefusedError, NotFoundError, RegistryError
from trainer.jobs import train_mixture as mixing
from trainer.mixture_settings import GATES, MixtureSettings, mixture_settings_of
from ui.browser.context import Context
from ui.browser.endpoints import file_endpoint
from ui.browser.opening import when_opened
from ui.browser.shared import command, one_line, same_as, warns
from ui.browser.task_form import BY_NAME, ENDINGS
from ui.views import jobs
from ui.views import mixing as view
from ui.views.adding import told_by_name
from ui.views.job_calls import command as words_of
from ui.views.job_calls import python

DEFAULTS = MixtureSettings()
UNCHANGED = ("", gr.skip(), gr.skip())
Fields = dict[str, gr.components.Component]


@dataclass(frozen=True)
class Filled:
    """What the form held: columns as the reader is told them, settings that differ from the defaults."""

    file: str | None
    experts: list[str]
    columns: dict[str, str | None]
    settings: dict[str, Any]


@dataclass(frozen=True)
class Form:
    """Its components."""

    file: gr.File
    base: gr.Dropdown
    experts: gr.Dropdown
    settings: Fields
    columns: list[gr.Dropdown]

    @classmethod
    def build(cls) -> Self:
        """The components, in the place where this is called."""
        gr.Markdown(
            "No text goes to one expert alone: a gate, which is trained here, weighs the experts for every "
            "token. The corpus has texts to learn, or beside them a `target`, or a `label` and its `task`."
        )
        file = gr.File(label="Corpus: CSV, TSV, JSON Lines or Parquet", file_types=ENDINGS, type="filepath")
        with gr.Row():
            base = gr.Dropdown([], label="They stand on", info="Only experts of one base model mix.")
            experts = gr.Dropdown(
                [],
                value=[],
                multiselect=True,
                label="Experts that mix",
                info="Two or more.",
                scale=2,
            )
        settings: Fields = {
            "freeze_experts": gr.Checkbox(
                DEFAULTS.freeze_experts,
                label="Freeze the experts",
                info="The gate alone learns. Else they learn with it, as next versions.",
            )
        }
        with gr.Row():
            settings["epochs"] = _number(
                "epochs", "Epochs of the mixture, at most", "0: 3 to 12, by the rows."
            )
            settings["seed"] = _number("seed", "Seed of the mixture", "Of everything random.")
        with gr.Accordion("More settings of the mixture", open=False):
            settings |= _more()
            columns = _columns()
        return cls(file, base, experts, settings, columns)

    @property
    def parts(self) -> list[gr.components.Component]:
        """All of them, but the base model, in the order of `read`."""
        return [self.file, self.experts, *self.settings.values(), *self.columns]

    def read(self, values: Sequence[Any]) -> Filled:
        """What the values of all parts say."""
        file, experts, *others = values
        settings, columns = others[: len(self.settings)], others[len(self.settings) :]
        named = [None if not column or column == BY_NAME else column for column in columns]
        return Filled(
            file=file,
            experts=list(experts or ()),
            columns=dict(zip(view.ROLES, named, strict=True)),
            settings=settings_from(dict(zip(self.settings, settings, strict=True))),
        )


def settings_from(given: Mapping[str, Any]) -> dict[str, Any]:
    """Those that differ from the defaults; 0 stands for a default that is no number."""
    found = {}
    for name, value in given.items():
        default = getattr(DEFAULTS, name)
        if value in (None, "") or value == default or (default is None and value == 0):
            continue
        found[name] = int(value) if isinstance(value, float) and value.is_integer() else value
    return found


def _more() -> Fields:
    with gr.Row():
        found: Fields = {
            "gate": gr.Dropdown(
                list(GATES),
                value=DEFAULTS.gate,
                label="Gate",
                info="shared: weighs a token once; per-layer: anew at each layer.",
            ),
            "top_k": _number("top_k", "Experts that mix in a token", "2 or more; 0: all."),
            "balance": _number("balance", "Balance", "How much uneven use is held back.", whole=False),
        }
    with gr.Row():
        found |= {
            "batch_size": _number("batch_size", "Rows a step of the mixture", "More need more memory."),
            "patience": _number("patience", "Epochs without gain before it ends", "The best so far is kept."),
        }
    with gr.Row():
        found |= {
            "gate_learning_rate": _number("gate_learning_rate", "Learning rate of the gate", "", whole=False),
            "learning_rate": _number(
                "learning_rate", "Learning rate of the experts", "0: a third of their kind's.", whole=False
            ),
            "head_learning_rate": _number(
                "head_learning_rate", "Learning rate of their heads", "", whole=False
            ),
        }
    return found


def _columns() -> list[gr.Dropdown]:
    with gr.Row():
        return [
            gr.Dropdown([BY_NAME], value=BY_NAME, label=f"{role} of the corpus", allow_custom_value=True)
            for role in ("Text column", "Second text column", "Label column")
        ]


def _number(name: str, label: str, info: str, whole: bool = True) -> gr.Number:
    value = getattr(DEFAULTS, name) or 0
    return gr.Number(value, label=label, info=info or "Highest.", precision=0 if whole else None)


class Mixing:
    """Its handlers."""

    def __init__(self, context: Context) -> None:
        self.context = context

    def open(self, base: str | None, chosen: list[str] | None) -> list[Any]:
        """The base models that experts can mix on, and those of the one that is chosen."""
        registry = self.context.registry()
        found = view.bases(registry)
        wanted = base if base in found else next(iter(found), None)
        named = [(view.called(registry, one), one) for one in found]
        return [
            gr.Dropdown(named, value=wanted, visible=len(found) != 1),
            self._experts(found.get(wanted or "", []), chosen),
        ]

    def narrow(self, base: str | None, chosen: list[str] | None) -> gr.Dropdown:
        """The experts of the base model that was chosen."""
        return self._experts(view.bases(self.context.registry()).get(base or "", []), chosen)

    def _experts(self, names: list[str], chosen: list[str] | None) -> gr.Dropdown:
        return gr.Dropdown(names, value=[name for name in chosen or () if name in names])

    def look(self, filled: Filled) -> list[Any]:
        """What the corpus was found to be for these experts, what will come of it, and the button."""
        if filled.file is None or len(filled.experts) < 2:
            wanted = "Choose a corpus." if filled.file is None else "Choose two experts or more."
            return [wanted, "", gr.Button(interactive=False)]
        found = view.look(self.context.registry(), filled.file, filled.experts, **filled.columns)
        makes, takes = "", found["refusal"] is None
        try:
            settings = mixture_settings_of(filled.settings)
            makes = view.comes_of_it(filled.experts, frozen=settings.freeze_experts)
        except RegistryError as error:
            makes, takes = one_line(error), False
        return [view.report(found), makes, gr.Button(interactive=takes)]

    @warns(*UNCHANGED)
    def ask(self, filled: Filled, request: gr.Request) -> Any:
        """Ask for it; which job it is, as a command and in Python."""
        if filled.file is None:
            raise NotFoundError("there is no corpus yet: choose a file")
        asked: dict[str, Any] = {"experts": filled.experts, "settings": filled.settings, **filled.columns}
        number = self.train_mixture(filled.file, request, **asked)["job"]
        job = self.context.registry().jobs.get(number)
        said = f"Job {number} trains the mixture; see the tab Jobs."
        return said, command(*words_of(job)), python(job)

    def train_mixture(
        self,
        file: str,
        request: gr.Request,
        *,
        experts: list[str],
        text: str | None = None,
        text_pair: str | None = None,
        label: str | None = None,
        settings: dict[str, Any] | None = None,
    ) -> dict[str, Any]:
        """Queue the training of a mixture of experts on a corpus. Options: experts, two or more, the columns
        text, text_pair and label, and settings (fields of MixtureSettings). Gives the job."""
        user = self.context.require(request)
        columns = {"text": text, "text_pair": text_pair, "label": label}
        asked: dict[str, Any] = {"experts": experts, "settings": settings, "actor": user, **columns}
        try:
            job = mixing.submit(self.context.registry(), file, device=self.context.device, **asked)
        except DataRefusedError as error:
            raise DataRefusedError(told_by_name(error, file)) from None
        return jobs.line(job)

    def preview_corpus(
        self,
        file: str,
        request: gr.Request,
        *,
        experts: list[str],
        text: str | None = None,
        text_pair: str | None = None,
        label: str | None = None,
    ) -> dict[str, Any]:
        """Read a corpus as `train_mixture` would: rows by split, what they teach, what was noticed, or why it
        is refused."""
        columns = {"text": text, "text_pair": text_pair, "label": label}
        return view.look(self.context.registry(), file, experts, **columns)


def build(context: Context) -> None:
    """The form, in a fold."""
    tab = Mixing(context)
    with gr.Accordion("Train a mixture: experts that act together on every token", open=False):
        form = Form.build()
        report = gr.Textbox(label="What the corpus is", interactive=False, lines=3, max_lines=20)
        makes = gr.Textbox(label="What will come of it", interactive=False, lines=2)
        train = gr.Button("Train a mixture", variant="primary", interactive=False)
        asked = gr.Textbox(label="Asked for", interactive=False)
        told = [asked, *same_as("What was asked for, as a command and in Python")]

    def look(*given: Any) -> list[Any]:
        return tab.look(form.read(given))

    def ask(request: gr.Request, *given: Any) -> Any:
        return tab.ask(form.read(given), request)

    last: dict[str, Any] = {"api_visibility": "private", "trigger_mode": "always_last"}
    when_opened(tab.open, [form.base, form.experts], [form.base, form.experts])
    form.base.input(tab.narrow, [form.base, form.experts], form.experts, api_visibility="private")
    changes = [one.change for one in form.parts]
    gr.on(changes, look, form.parts, [report, makes, train], **last)
    train.click(ask, form.parts, told, api_visibility="private")
    for function in (tab.preview_corpus, tab.train_mixture):
        file_endpoint(function.__name__, function)
