"""A new kind is one new file: found by its name and used everywhere, with no edit anywhere else."""

import sys
from collections.abc import Iterator
from dataclasses import replace
from importlib import import_module, invalidate_caches
from pathlib import Path

import pytest

from registry import NotFoundError, Registry
from tests.trainer.samples import QUICK, TASKS, texts, write
from trainer import MoE, add_task, evaluate, kinds, retrain_router

DIAGONAL = '''
"""The update of a linear layer as a low-rank factor of fixed random directions, scaled one by one."""

from dataclasses import dataclass

import torch
from torch import nn

from registry.errors import NotFoundError

LEARNING_RATE = 1e-2
TARGETS = ("q_proj", "v_proj", "query", "value")
FORM = "low_rank"
LINEAR = True
LOOKS = 0


@dataclass(frozen=True, kw_only=True)
class Config:
    rank: int = 4
    alpha: float = 1.0


def configure(*, rank=None, alpha=None, preset="default"):
    if preset != "default":
        raise NotFoundError(f"unknown preset {preset!r} of diagonal; known: default.")
    return Config(rank=4 if rank is None else rank, alpha=1.0 if alpha is None else alpha)


class Adapter(nn.Module):
    def __init__(self, config, inputs, outputs, generator, name):
        super().__init__()
        self.a = nn.Parameter(torch.randn(inputs, config.rank, generator=generator) / inputs**0.5)
        self.scale = nn.Parameter(torch.zeros(config.rank))
        self.b = nn.Parameter(torch.randn(config.rank, outputs, generator=generator))


def parts(config, inputs, outputs, values):
    return {"a": values["a"], "b": config.alpha * values["scale"][..., None] * values["b"]}
'''

NEAREST = '''
"""Sends a text to the task whose mean state is the nearest."""

from dataclasses import dataclass

import torch
from torch import nn

from trainer.progress import silent
from trainer.routers import from_logits

READS = ("states",)
AUTO = True


@dataclass(frozen=True, kw_only=True)
class Config:
    sharpness: float = 1.0


class Router(nn.Module):
    def __init__(self, config, shape, slots):
        super().__init__()
        self.config = config
        self.register_buffer("centres", torch.zeros(slots, shape[0] * shape[1] * shape[2]))

    def forward(self, features):
        return from_logits(-self.config.sharpness * torch.cdist(features.states.flatten(1), self.centres))


def fit(config, training, validation, slots, seed, on_progress=silent):
    states = training.states
    router = Router(config, states.shape[1:], slots)
    for slot in range(slots):
        router.centres[slot] = states[training.slots == slot].flatten(1).mean(0)
    return router.eval()
'''

GRADING = '''
"""Grading: a mark from 1 to 5, answered as the nearest mark."""

import torch
from torch import nn
from torch.nn import functional

from registry.errors import DataRefusedError
from trainer.tasks import Answer, configure_nothing, prepare_nothing, settle_nothing

REQUIRED = ("text", "mark")
OPTIONAL = ()
TARGET = "mark"
METRIC = "accuracy"
CHOICES = WRITES = False
configure, prepare, settle = configure_nothing, prepare_nothing, settle_nothing


def recognises(columns, rows):
    return set(REQUIRED) <= set(columns) <= {*REQUIRED, "split"}


def check(rows):
    for row in rows:
        if row.values["mark"] not in "12345":
            raise DataRefusedError(f"line {row.line}: mark {row.values['mark']!r} is not 1 to 5")
    return (), ()


def labels_of(row):
    return ()


def head(inputs, labels):
    made = nn.Linear(inputs, 1)
    nn.init.zeros_(made.weight)
    nn.init.constant_(made.bias, 3.0)
    return made


def targets(head, rows, labels):
    return torch.tensor([float(row.values["mark"]) for row in rows])


def loss(outputs, targets):
    return functional.mse_loss(outputs[:, 0], targets)


def answers(head, outputs, labels, inputs):
    return [Answer(str(int(mark))) for mark in outputs[:, 0].round().clamp(1, 5).tolist()]


def metrics(answers, rows):
    return {"accuracy": sum(credits(answers, rows)) / len(rows)}


def credits(answers, rows):
    return [float(answer == row.values["mark"]) for answer, row in zip(answers, rows)]
'''

NEW = {"adapters": ("diagonal", DIAGONAL), "routers": ("nearest", NEAREST), "tasks": ("grading", GRADING)}


def forget(name: str) -> None:
    """Unload a module, as if it had never been imported."""
    package, _, module = name.rpartition(".")
    sys.modules.pop(name, None)
    if package and hasattr(sys.modules[package], module):
        delattr(sys.modules[package], module)


@pytest.fixture
def dropped_files(tmp_path: Path) -> Iterator[None]:
    """One file of each family beside the project's own, for the length of a test."""
    packages = {family: import_module(f"trainer.{family}") for family in kinds.FAMILIES}
    for family, (name, content) in NEW.items():
        folder = tmp_path / family
        folder.mkdir()
        (folder / f"{name}.py").write_text(content)
        packages[family].__path__.append(str(folder))
    invalidate_caches()
    yield
    for family, (name, _) in NEW.items():
        packages[family].__path__.remove(str(tmp_path / family))
        forget(f"trainer.{family}.{name}")


@pytest.fixture
def another_distribution(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The same three as an installed package that offers them through its entry points."""
    site = tmp_path / "site"
    info = site / "more_kinds-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: more-kinds\nVersion: 1.0\n")
    sections = []
    for family, (name, content) in NEW.items():
        (site / f"more_{name}.py").write_text(content)
        sections.append(f"[expert_registry.{family}]\n{name} = more_{name}\n")
    (info / "entry_points.txt").write_text("\n".join(sections))
    monkeypatch.syspath_prepend(site)
    yield
    for name, _ in NEW.values():
        forget(f"more_{name}")


@pytest.fixture(params=["dropped_files", "another_distribution"])
def new_kinds(request: pytest.FixtureRequest) -> None:
    request.getfixturevalue(request.param)


def grades(folder: Path) -> Path:
    path = folder / "grades.csv"
    words = ("awful", "poor", "fair", "good", "superb")
    things = ("film", "soup", "trip", "book", "room", "phone", "cup")
    rows = [f"The {thing} was {word},{mark}" for thing in things for mark, word in enumerate(words, 1)]
    path.write_text("\n".join(["text,mark", *rows, ""]))
    return path


def test_the_projects_own_kinds_are_those_of_its_files() -> None:
    root = Path(__file__).parent.parent / "trainer"
    for family in kinds.FAMILIES:
        own = {path.stem for path in (root / family).glob("*.py")} - {"__init__"}
        assert own <= set(kinds.names(family))


@pytest.mark.usefixtures("new_kinds")
def test_new_kinds_are_found_and_named_beside_the_others() -> None:
    for family, (name, _) in NEW.items():
        assert name in kinds.names(family)
        assert kinds.load(family, name).__doc__.strip() in NEW[family][1]
        assert kinds.load_all(family)[name] is kinds.load(family, name)


@pytest.mark.usefixtures("new_kinds")
def test_a_new_adapter_trains_freezes_and_answers_beside_the_others(
    registry: Registry, tmp_path: Path, tiny_llama_folder: Path
) -> None:
    base = {"base_model": str(tiny_llama_folder), "device": "cpu"}
    settings = replace(QUICK, adapter="diagonal", rank=3)
    made = add_task(registry, write(tmp_path, "mood"), settings=settings, **base)
    assert (made.expert.adapter, made.expert.config["architecture"]["adapter_config"]) == (
        "diagonal",
        {"alpha": 1.0, "rank": 3},
    )
    add_task(registry, write(tmp_path, "question"), settings=QUICK, **base)
    retrain_router(registry, router="closed_form", device="cpu")
    asked = [*texts("mood"), *texts("question")]
    routed = MoE.load(registry, device="cpu").predict(asked)
    assert {one.expert for one in routed} == {"mood@1", "question@1"}
    assert evaluate(registry, "mood", device="cpu").metrics == made.metrics["test"]


@pytest.mark.usefixtures("new_kinds")
def test_a_new_router_is_fitted_frozen_and_thawed(
    registry: Registry, tmp_path: Path, tiny_llama_folder: Path
) -> None:
    for task in TASKS:
        add_task(
            registry, write(tmp_path, task), settings=QUICK, base_model=str(tiny_llama_folder), device="cpu"
        )
    made = retrain_router(registry, router="nearest", device="cpu")
    assert made.generation.config["router"]["kind_config"] == {"sharpness": 1.0}
    assert list(made.candidates) == ["nearest"]
    assert evaluate(registry, device="cpu").metrics == made.metrics["test"]


@pytest.mark.usefixtures("new_kinds")
def test_a_new_task_kind_is_recognised_by_its_columns_and_routed_beside_the_others(
    registry: Registry, tmp_path: Path, tiny_llama_folder: Path
) -> None:
    base = {"base_model": str(tiny_llama_folder), "device": "cpu", "settings": QUICK}
    made = add_task(registry, grades(tmp_path), **base)
    assert (made.expert.kind, made.expert.labels, registry.task("grades").kind) == ("grading", (), "grading")
    add_task(registry, write(tmp_path, "question"), **base)
    retrained = retrain_router(registry, router="closed_form", device="cpu")
    report = evaluate(registry, device="cpu")
    assert report.metrics == retrained.metrics["test"]
    [answer] = MoE.load(registry, device="cpu").predict(["The film was fair"], expert="grades")
    assert answer.label in "12345"


def test_no_other_distribution_can_replace_a_kind_of_this_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    info = tmp_path / "impostor-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: impostor\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[expert_registry.adapters]\nlora = json\nbetter = json\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert kinds.load("adapters", "lora").__name__ == "trainer.adapters.lora"
    assert kinds.load("adapters", "better").__name__ == "json"


def test_what_is_gone_is_not_a_kind_any_more() -> None:
    for family, (name, _) in NEW.items():
        assert name not in kinds.names(family)
        with pytest.raises(NotFoundError, match=f"unknown {family[:-1]} kind '{name}'; known: "):
            kinds.load(family, name)


def test_nothing_of_a_kind_is_imported_before_it_is_asked_for(tmp_path: Path) -> None:
    adapters = import_module("trainer.adapters")
    (tmp_path / "explosive.py").write_text("raise RuntimeError('imported')")
    adapters.__path__.append(str(tmp_path))
    try:
        assert "explosive" in kinds.names("adapters")
        assert kinds.load("adapters", "tt_lora").Config
        with pytest.raises(RuntimeError, match="imported"):
            kinds.load("adapters", "explosive")
    finally:
        adapters.__path__.remove(str(tmp_path))
        forget("trainer.adapters.explosive")
