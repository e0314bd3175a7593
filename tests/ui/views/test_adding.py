"""What a page says of a file before it is trained on: its report, its table, what it will take."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from registry import Registry
from registry.errors import InvalidSettingError
from tests.registry.samples import BASE, NOON, RUN, add_dataset, add_expert, payload
from tests.ui.commands import mood_rows
from trainer.settings import ExpertSettings, settings_of
from ui.browser.settings_form import settings_from
from ui.browser.task_form import columns_of
from ui.views import adding as view

Write = Callable[..., Path]


def test_a_good_file_is_reported_in_sentences(csv_file: Write) -> None:
    shown = view.document(view.look(csv_file(mood_rows(), ("sentence", "label"), "reviews.csv")))
    rows = shown["rows"]
    assert shown["source"] == "reviews.csv"
    assert shown["format"] == "text table, cells are separated by commas"
    assert shown["roles"] == {"text": "sentence", "label": "label"}
    assert shown["labels"] == {"good": 60, "bad": 60}
    assert shown["head"][0] == [2, *mood_rows()[0]]
    assert view.headers(shown) == ["line", "sentence (text)", "label (label)"]
    assert view.report(shown)[:4] == [
        f"120 rows can be taken: {rows['train']} to train, {rows['validation']} to choose the best epoch,"
        f" {rows['test']} to test.",
        "A task of the kind classification.",
        f"Texts have {shown['lengths']['middle']} characters in the middle,"
        f" {max(len(text) for text, _ in mood_rows())} at most.",
        "2 labels: good (60), bad (60).",
    ]
    assert view.report(shown)[4] == "Noticed: cells are separated by commas."


def test_a_refused_file_is_reported_with_the_reason_and_still_shown(csv_file: Write) -> None:
    shown = view.document(view.look(csv_file([("fine", "good"), ("fine", "bad")], name="reviews.csv")))
    assert view.report(shown)[0].startswith("Not taken. reviews.csv, line ")
    assert shown["head"] == [[2, "fine", "good"], [3, "fine", "bad"]]
    assert view.headers(shown) == ["line", "text (column)", "label (column)"]
    assert (shown["rows"], shown["labels"], shown["kind"]) == ({}, {}, None)


def test_where_the_reader_advises_an_option_a_page_advises_its_choice(csv_file: Write) -> None:
    shown = view.document(view.look(csv_file(mood_rows(), ("words", "mood"))))
    assert view.report(shown)[0] == (
        "Not taken. task.csv, line 1: no column is known as the text; its columns are 'words', 'mood';"
        " choose above, or call one of them 'text'."
    )


def test_long_cells_are_shown_shortened(csv_file: Write) -> None:
    shown = view.document(view.look(csv_file([("x" * 500, "good"), ("y", "bad")])))
    assert shown["head"][0][1] == "x" * 199 + "…"


def test_the_base_models_on_record_come_first(registry: Registry) -> None:
    assert view.base_models(registry)[0] == "smollm2-135m"
    registry.add_base_model(BASE)
    registry.add_base_model(
        replace(BASE, fingerprint="1" * 64, spec="other", created_at=NOON + timedelta(days=1))
    )
    assert view.base_models(registry)[:3] == ["other", "tiny", "smollm2-135m"]


def test_the_name_of_a_task_leads_to_its_next_version(registry: Registry) -> None:
    assert view.naming(registry, "sst2") == "A new task; its first expert will be sst2@1."
    add_expert(registry)
    assert view.naming(registry, "sst2") == (
        "There is a task sst2: its next expert will be sst2@2; older ones stay."
    )
    with pytest.raises(InvalidSettingError):
        view.naming(registry, "router")


def test_without_anything_on_record_the_cost_is_a_stated_default(
    registry: Registry, csv_file: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REGISTRY_CACHE", str(tmp_path / "no base model here"))
    data = view.look(csv_file(mood_rows())).data
    assert data is not None
    cost = view.cost(registry, data, None, ExpertSettings(epochs=5))
    train = data.counts()["train"]
    assert cost == {
        "epochs": 5,
        "rows": train,
        "per_second": 20.0,
        "measured_on": (),
        "scaled": False,
        "seconds": train * 5 / 20,
        "parameters": None,
        "like": None,
    }
    assert "a default, nothing is on record for this base model" in view.cost_in_words(cost)


def test_the_cost_is_measured_on_the_runs_on_record_of_that_base_model(
    registry: Registry, csv_file: Write
) -> None:
    registry.add_base_model(BASE)
    config: dict[str, Any] = {"rank": 5, "alpha": 4.0, "input_cores": 2, "output_cores": 2}
    registry.add_expert(
        task="sst2",
        dataset=add_dataset(registry).version,
        base_model=BASE.fingerprint,
        adapter="tt_lora",
        config={"architecture": {"adapter_config": {**config, "shapes": None, "zero_start": True}}},
        labels=("no", "so", "yes"),
        parameters=1_000,
        payload=payload(),
        settings_key="key",
        run=replace(RUN, seconds=4.0, history=[{"epoch": 1}, {"epoch": 2}]),
    )
    data = view.look(csv_file(mood_rows())).data
    assert data is not None
    cost = view.cost(registry, data, "tiny", ExpertSettings(epochs=1))
    # 100 rows in each of 2 epochs in 4 seconds; two labels need one output of 8 weights and a bias less.
    assert (cost["per_second"], cost["measured_on"]) == (50.0, ("sst2@1",))
    assert (cost["parameters"], cost["like"]) == (1_000 - 9, "sst2@1")
    assert view.cost(registry, data, "tiny", ExpertSettings(rank=3))["parameters"] is None
    assert view.cost_in_words(cost).startswith("About 991 parameters, like sst2@1. At most 1 epoch of ")


def test_a_form_gives_only_what_differs_from_the_defaults() -> None:
    form = {"epochs": 0, "rank": 3.0, "seed": 0, "alpha": None, "preset": "default", "learning_rate": 0.01}
    form |= {"targets": "", "options": "block=8"}
    assert settings_from(form) == {"rank": 3, "learning_rate": 0.01, "options": "block=8"}
    assert columns_of("told by the columns", "found by its name", None, "mood") == {
        "kind": None,
        "text": None,
        "text_pair": None,
        "label": "mood",
    }


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"epoch": 3}, "there is no setting 'epoch'; known: adapter, preset"),
        ({"epochs": "3"}, "epochs '3' must be a whole number"),
        ({"epochs": True}, "epochs True must be a whole number"),
        ({"learning_rate": "fast"}, "learning rate 'fast' must be a number"),
        ({"adapter": None}, "adapter None must be a text"),
        ({"epochs": 0}, "epochs 0 is too small"),
        ({"targets": 3}, "targets 3 must be names of linear layers, such as q_proj,v_proj"),
        ({"targets": "q_proj,"}, "targets 'q_proj,' hold an empty name"),
        ({"targets": []}, r"targets \[\] hold an empty name"),
        ({"options": "block"}, "option 'block' must be name=value, such as block=8"),
        ({"options": "block=8; block=4"}, "option block is given twice"),
        ({"options": ["block"]}, "options .'block'. must be name=value"),
    ],
)
def test_settings_from_outside_are_checked_by_name_and_type(given: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidSettingError, match=said):
        settings_of(given)
    assert settings_of({"learning_rate": 1}).learning_rate == 1


@pytest.mark.parametrize("given", ["q_proj, output.dense", ["q_proj", "output.dense"]])
def test_targets_and_options_are_read_from_text_or_from_json(given: Any) -> None:
    assert settings_of({"targets": given}).targets == ("q_proj", "output.dense")
    for options in ("block=8; zero_start=false", {"block": "8", "zero_start": "false"}):
        assert settings_of({"options": options}).options == {"block": "8", "zero_start": "false"}
    assert settings_of({"targets": None, "options": None}) == ExpertSettings()
