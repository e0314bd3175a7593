"""The promise: what is frozen stays as it is. Later tasks and routers change no earlier expert by one bit."""

from dataclasses import replace
from pathlib import Path

from registry import Registry
from tests.trainer.samples import QUICK, TASKS, texts, write
from trainer import MoE, Prediction, add_task, retrain_router
from trainer.base_model import BaseModel
from trainer.inputs import Text

ASKED: list[Text] = [*(text for task in TASKS for text in texts(task, 5)), "", "Nothing of the kind."]


class Promise:
    """Keeps what every expert and generation was and said when it was new, and holds them to it."""

    def __init__(self, registry: Registry, base: BaseModel) -> None:
        self.registry, self.base = registry, base
        self.contents: dict[str, bytes] = {}
        self.said: dict[str, list[Prediction]] = {}

    def remember(self, name: str) -> None:
        self.contents[name] = self._content(name)
        self.said[name] = self._ask(name)

    def hold(self) -> None:
        for name, content in self.contents.items():
            assert self._content(name) == content, f"the bytes of {name} changed"
            # Equal as numbers: not one bit of one probability may move.
            assert self._ask(name) == self.said[name], f"{name} predicts something else"
        assert self.registry.verify() == []

    def _content(self, name: str) -> bytes:
        router = name.startswith("router@")
        record = self.registry.generation(name) if router else self.registry.expert(name)
        return self.registry.blobs.get(record.sha256)

    def _ask(self, name: str) -> list[Prediction]:
        if name.startswith("router@"):
            return MoE.load(self.registry, name, base=self.base).predict(ASKED)
        return MoE.load(self.registry, expert=name, base=self.base).predict(ASKED)


def keep_the_promise(home: Path, folder: Path, base_folder: Path) -> None:
    base = BaseModel.load(str(base_folder), device="cpu")
    with Registry(home) as registry:
        promise = Promise(registry, base)
        for place, task in enumerate(TASKS):
            adapter = ("tt_lora", "lora", "tt_lora")[place]
            settings = replace(QUICK, adapter=adapter, rank=place + 2)
            promise.remember(
                add_task(registry, write(folder, task), base_model=base, settings=settings).expert.name
            )
            promise.hold()
            promise.remember(retrain_router(registry, router="closed_form").generation.name)
            promise.hold()
        again = add_task(registry, write(folder, "mood"), base_model=base, settings=replace(QUICK, seed=1))
        promise.remember(again.expert.name)
        promise.hold()
        promise.remember(retrain_router(registry, router="noisy_top1", passes="two").generation.name)
        promise.hold()
        registry.rollback()
        promise.hold()
    # Another process would open the home and load the base model anew.
    with Registry(home) as registry:
        promise.registry, promise.base = registry, BaseModel.load(str(base_folder), device="cpu")
        assert list(promise.said) == [
            "mood@1",
            "router@1",
            "pairs@1",
            "router@2",
            "question@1",
            "router@3",
            "mood@2",
            "router@4",
        ]
        promise.hold()


def test_nothing_that_comes_later_changes_an_expert_or_a_generation_of_a_decoder(
    home: Path, tmp_path: Path, tiny_llama_folder: Path
) -> None:
    keep_the_promise(home, tmp_path, tiny_llama_folder)


def test_nothing_that_comes_later_changes_an_expert_or_a_generation_of_an_encoder(
    home: Path, tmp_path: Path, tiny_bert_folder: Path
) -> None:
    keep_the_promise(home, tmp_path, tiny_bert_folder)
