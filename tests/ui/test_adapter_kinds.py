"""The whole command line with experts of every adapter kind, and what is refused of their shapes."""

from pathlib import Path

import pytest

from tests.ui.commands import Command, Trained, assert_refused, mood_rows, topic_rows, write_csv
from trainer import kinds
from ui.views.experts import shape

OPTIONS = {
    "bottleneck": ("--rank", "4", "--alpha", "2"),
    "lora": ("--rank", "2", "--targets", "q_proj,k_proj,down_proj"),
    "probe": (),
    "sparse": ("--rank", "2", "--options", "block=8", "--targets", "up_proj"),
    "tt_lora": ("--options", "shapes=4,12:3,8 48:6,8; zero_start=true", "--first-layer", "2"),
}
SHAPES = {
    "bottleneck": "rank 4, alpha 2, from layer 1",
    "lora": "rank 2, alpha 16, from layer 1",
    "probe": "from layer 1",
    "sparse": "rank 2, alpha 1, block 8, from layer 1",
    "tt_lora": "rank 5, alpha 4, input cores 2, output cores 2, from layer 2",
}


def test_experts_of_every_adapter_kind_are_made_routed_and_shown(
    empty_command: Command, tmp_path: Path, tiny_llama_folder: Path
) -> None:
    assert [*OPTIONS] == kinds.names("adapters")
    common = ("--base-model", str(tiny_llama_folder), "--device", "cpu", "--json")
    asked = []
    for place, (adapter, options) in enumerate(OPTIONS.items()):
        rows = [(f"{adapter} {text}", label) for text, label in (mood_rows, topic_rows)[place % 2]()]
        asked.append(rows[0][0])
        data = str(write_csv(tmp_path / f"{adapter}.csv", rows))
        more = ("--epochs", "1", "--adapter", adapter, *options)
        made = empty_command("add-task", "--data", data, *common, *more).json
        again = empty_command("add-task", "--data", data, *common, *more).json
        assert (made["created"], again["created"]) == (True, False)
    assert empty_command("retrain-router", "--device", "cpu").code == 0
    listed = {one["task"]: one for one in empty_command("experts", "--json").json}
    assert {task: one["adapter"] for task, one in listed.items()} == {name: name for name in OPTIONS}
    answers = empty_command("predict", *asked, "--device", "cpu", "--json").json
    alone = [empty_command("predict", text, "--device", "cpu", "--json").json[0] for text in asked]
    assert [(one["expert"], one["label"]) for one in answers] == [
        (one["expert"], one["label"]) for one in alone
    ]
    for adapter, words in SHAPES.items():
        card = empty_command("show", f"{adapter}@1", "--json").json
        assert (card["adapter"], card["parameters"] > 0, shape(card["config"])) == (adapter, True, words)
        assert empty_command("evaluate", adapter, "--device", "cpu").code == 0
    assert empty_command("verify").code == 0


@pytest.mark.parametrize(
    ("code", "options", "words"),
    [
        (3, ("--targets", "q_proj,gate"), "no linear layer called gate; this model has down_proj,"),
        (2, ("--targets", "q_proj,,"), "hold an empty name"),
        (2, ("--options", "shapes=8,6:5,5"), "modes 8,6:5,5 are for a layer 48 -> 25; those to be"),
        (2, ("--options", "block=8"), "tt_lora has no option 'block'; it has input_cores, output_cores,"),
        (2, ("--options", "input_cores"), "option 'input_cores' must be name=value"),
        (2, ("--adapter", "lora", "--options", "shapes=1:1"), "lora has no option 'shapes'; it has none."),
        (2, ("--adapter", "sparse", "--options", "block=x"), "option block=x must be a whole number"),
        (2, ("--adapter", "bottleneck", "--rank", "1000"), "rank 1000 does not fit"),
        (2, ("--adapter", "probe", "--targets", "q_proj"), "probe adapts no linear layers"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_a_shape_that_does_not_fit_is_refused_in_one_line(
    registry_command: Command,
    trained: Trained,
    tiny_llama_folder: Path,
    code: int,
    options: tuple[str, ...],
    words: str,
) -> None:
    base = ("--base-model", str(tiny_llama_folder), "--epochs", "1")
    outcome = registry_command("add-task", "--data", str(trained.files["mood"]), *base, *options)
    assert_refused(outcome, code, words)
