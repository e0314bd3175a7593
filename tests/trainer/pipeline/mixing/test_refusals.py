"""What `train_mixture` does not take: one line, and nothing is changed."""

from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.mixtures import publish_untrained
from registry import NotFoundError, Registry
from registry.errors import ConflictError, DataRefusedError, InvalidSettingError
from tests.trainer.pipeline.mixing.corpora import labelled, mix, table
from tests.trainer.pipeline.steps import refit, state
from tests.trainer.pools import DESIGN, publish
from tests.trainer.samples import QUICK, write
from trainer import MixtureSettings, add_task
from trainer.base_model import BaseModel
from trainer.experts import design


def test_a_router_of_tokens_is_not_fitted_to_tasks(registry: Registry) -> None:
    with pytest.raises(
        InvalidSettingError, match="soft_token is not fitted but trained: registry train-mixture"
    ):
        refit(registry, router="soft_token")


@pytest.mark.parametrize(
    ("rows", "experts", "error", "said"),
    [
        ([["text"], ["a b"]], ["say"], InvalidSettingError, "a mixture needs two experts or more, given say"),
        ([["text"], ["a b"]], ["say", "nobody"], NotFoundError, "nobody"),
        ([["text"], ["a b"]], ["say", "say@1"], ConflictError, "say is named more than once"),
        ([["words"], ["a b"]], ["say", "tell"], DataRefusedError, "no column is known as the text"),
        ([["text", "label"], ["a", "b"]], ["say", "tell"], DataRefusedError, "none says of which task"),
        ([["text", "task"], ["a", "say"]], ["say", "tell"], DataRefusedError, "needs the answers beside it"),
        (
            [["text", "target"], ["a", "b"]],
            ["mood", "question"],
            DataRefusedError,
            "none of mood, question writes",
        ),
        ([["text", "target"], ["a", " "]], ["say", "tell"], DataRefusedError, "line 2: the target is empty"),
        (
            [["text", "label", "target", "task"], ["a", "b", "c", "say"]],
            ["say", "tell"],
            DataRefusedError,
            "two columns could be the answer, 'label' and 'target'",
        ),
        (
            [["text", "label", "task"], ["a", "good", "moods"]],
            ["mood", "question"],
            DataRefusedError,
            "line 2: the task 'moods' is none of mood, question. Did you mean 'mood'",
        ),
        (
            [["text", "label", "task"], ["a", "goood", "mood"]],
            ["mood", "question"],
            DataRefusedError,
            "line 2: mood@1 does not know the label 'goood'. Did you mean 'good'",
        ),
        (
            [["text", "label", "task"], ["a", "good", "say"]],
            ["mood", "say"],
            DataRefusedError,
            "line 2: rows of the task say need a column target",
        ),
    ],
)
def test_what_no_mixture_can_be_learnt_from_is_refused_in_one_line(
    registry: Registry,
    llama: BaseModel,
    tmp_path: Path,
    rows: list[list[str]],
    experts: list[str],
    error: type[Exception],
    said: str,
) -> None:
    before = state(registry)
    with pytest.raises(error, match=said) as refused:
        mix(registry, table(tmp_path / "rows.csv", rows), llama, *experts)
    assert "\n" not in str(refused.value)
    assert state(registry) == before


def test_experts_of_other_base_models_and_heads_alone_do_not_mix(
    registry: Registry, llama: BaseModel, bert: BaseModel, corpus: Path, tmp_path: Path
) -> None:
    publish(registry, bert, "elsewhere", 0)
    with pytest.raises(ConflictError, match=r"say@1 on .*, elsewhere@1 on"):
        mix(registry, corpus, llama, "say", "elsewhere")
    add_task(registry, write(tmp_path, "pairs"), base_model=llama, settings=replace(QUICK, adapter="probe"))
    with pytest.raises(InvalidSettingError, match=r"pairs@1 is a head alone \(kind probe\)"):
        mix(registry, corpus, llama, "say", "pairs")


def test_an_expert_whose_head_reads_layers_on_the_way_does_not_mix(
    registry: Registry, llama: BaseModel, corpus: Path
) -> None:
    architecture = replace(design(llama, labels=("no", "yes"), **DESIGN), head_layers=(2,))
    publish_untrained(registry, llama, "deep", architecture, 0, spread=0.1)
    with pytest.raises(InvalidSettingError, match=r"the head of deep@1 reads layers on the way, which a"):
        mix(registry, corpus, llama, "say", "deep")


def test_an_encoder_learns_labels_and_no_words(tmp_path: Path, bert: BaseModel) -> None:
    with Registry(tmp_path / "bert") as registry:
        for task in ("mood", "question"):
            add_task(registry, write(tmp_path, task), base_model=bert, settings=QUICK)
        texts = table(tmp_path / "texts.csv", [["text"], *([f"one {number}"] for number in range(40))])
        with pytest.raises(InvalidSettingError, match=r"which needs a decoder, and .* is an encoder"):
            mix(registry, texts, bert, "mood", "question")
        made = mix(registry, labelled(tmp_path), bert, "mood", "question", top_k=2)
        assert made.history[-1]["validation_accuracy"] >= made.history[0]["validation_accuracy"]


@pytest.mark.parametrize(
    ("wish", "said"),
    [
        ({"gate": "some"}, "gate 'some' is unknown: choose shared or per-layer"),
        ({"top_k": 1}, "top-k 1 is too small: .* nothing to learn from; choose 2 or more"),
        ({"balance": -1.0}, "balance -1.0 must be"),
        ({"gate_learning_rate": 0.0}, "gate learning rate 0.0 must be"),
        ({"seed": -1}, "seed -1 must be"),
    ],
)
def test_settings_outside_what_is_allowed_are_refused(wish: dict[str, object], said: str) -> None:
    with pytest.raises(InvalidSettingError, match=said):
        MixtureSettings(**wish)  # type: ignore[arg-type]
