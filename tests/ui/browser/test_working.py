"""Playground, Add a task and Jobs through a real server: each named endpoint, as other programs call it."""

import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError

from tests.ui.commands import Trained, mood_rows, write_csv
from tests.ui.server.serving import serving


@dataclass(frozen=True)
class Served:
    """A client of a server of a home with two tasks and a generation, and a worker beside it."""

    client: Client
    folder: Path
    model: str

    def call(self, name: str, *given: Any, **named: Any) -> Any:
        return self.client.predict(*given, api_name=f"/{name}", **named)

    def refused(self, name: str, *given: Any, **named: Any) -> str:
        with pytest.raises(AppError) as refusal:
            self.call(name, *given, **named)
        return str(refusal.value)

    def file(self, name: str, content: str) -> Any:
        path = self.folder / name
        path.write_text(content, encoding="utf-8")
        return handle_file(path)

    def wait(self, job: int, *states: str) -> dict[str, Any]:
        deadline = time.monotonic() + 100
        while (shown := self.call("show_job", job))["state"] not in states:
            assert time.monotonic() < deadline, shown
            time.sleep(0.3)
        return shown


@pytest.fixture(scope="module", autouse=True)
def the_client_asks_nobody_else() -> Iterator[None]:
    """Gradio's client would look up on the hub who runs it, and report that it runs."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
        patch.setenv("GRADIO_ANALYTICS_ENABLED", "False")
        yield


@pytest.fixture(scope="module")
def served(
    the_client_asks_nobody_else: None,
    trained: Trained,
    tiny_llama_folder: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("working")
    shutil.copytree(trained.home, folder / "home")
    with serving(folder / "home", "--device", "cpu") as server:
        address = f"http://127.0.0.1:{server.address[1]}/"
        client = Client(address, verbose=False, analytics_enabled=False, download_files=folder / "downloads")
        try:
            yield Served(client, folder, str(tiny_llama_folder))
        finally:
            client.close()


def test_a_text_is_answered_by_the_expert_that_the_router_chooses(served: Served) -> None:
    answer = served.call("predict", "The film was lovely.")
    assert answer["generation"] == "router@1"
    assert set(answer["weights"]) == {"mood", "topic"}
    assert sum(answer["weights"].values()) == pytest.approx(1)
    assert answer["task"] == max(answer["weights"], key=answer["weights"].get)
    assert answer["label"] in answer["probabilities"]


def test_an_expert_that_is_named_answers_whatever_the_router_says(served: Served) -> None:
    answer = served.call("predict", "The film was lovely.", None, None, "topic")
    assert (answer["expert"], answer["generation"], answer["margin"]) == ("topic@1", None, None)
    assert set(answer["probabilities"]) == {"place", "person", "time"}


def test_what_cannot_be_answered_is_refused_in_one_line(served: Served) -> None:
    assert served.refused("predict", " ") == "There is no text yet: type one."
    assert "There is no task 'mod'" in served.refused("predict", "x", None, None, "mod")
    assert "router@9" in served.refused("predict", "x", None, "router@9")


def test_the_generations_that_can_answer_are_listed(served: Served) -> None:
    assert served.call("list_pools")[-1] == {
        "generation": "router@1",
        "experts": ["mood@1", "topic@1"],
        "aliases": ["router@candidate", "router@production"],
    }


def test_every_row_of_a_file_is_answered(served: Served) -> None:
    file = served.file("texts.csv", "text\nThe film was lovely.\nWhere is the soup?\n")
    answers = served.call("predict_table", file, {"generation": "router@1"})
    assert [one["text"] for one in answers] == ["The film was lovely.", "Where is the soup?"]
    assert {one["generation"] for one in answers} == {"router@1"}
    bad = served.file("empty.csv", "text\n")
    assert served.refused("predict_table", bad, {}) == "The file empty.csv, line 1: no rows after the header."


def test_a_file_is_previewed_and_a_bad_one_is_told_what_to_do(served: Served) -> None:
    good = handle_file(write_csv(served.folder / "reviews.csv", mood_rows(), ("review", "mood")))
    shown = served.call("preview_task", good, {"label": "mood"})
    assert shown["roles"] == {"text": "review", "label": "mood"}
    assert shown["labels"] == {"good": 60, "bad": 60}
    bad = served.file("bad.csv", "text,label\nfine,good\n ,bad\n")
    shown = served.call("preview_task", bad, {})
    assert shown["refusal"] == "bad.csv, line 3: the text is empty"
    assert shown["report"][0] == "Not taken. bad.csv, line 3: the text is empty."


def test_a_training_is_queued_followed_to_its_end_and_its_router_fitted(served: Served) -> None:
    rows = handle_file(write_csv(served.folder / "fresh.csv", mood_rows()))
    options = {"name": "fresh", "base_model": served.model, "settings": {"epochs": 2, "seed": 3}}
    job = served.call("add_task", rows, options)["job"]
    assert job in [one["job"] for one in served.call("list_jobs")]
    shown = served.wait(job, "done", "failed")
    assert (shown["state"], shown["made"]) == ("done", "fresh@1")
    assert [point["epoch"] for point in shown["curve"]] == [1, 2]
    assert "attempt 1" in shown["log"]
    served.call("fit_router", "yes")
    fit = served.call("list_jobs")[0]["job"]
    assert served.wait(fit, "done", "failed")["made"] == "router@2"
    assert set(served.call("predict", "The film was lovely.")["weights"]) == {"mood", "topic", "fresh"}


def test_a_few_rows_are_combined_from_the_experts_that_were_named(served: Served) -> None:
    few = handle_file(write_csv(served.folder / "few.csv", mood_rows()[::5]))
    shown = served.call("preview_task", few, {"few": True})
    assert (shown["refusal"], sum(shown["rows"].values())) == (None, 24)
    many = handle_file(write_csv(served.folder / "many.csv", mood_rows()))
    refused = "many.csv: 120 rows; adapt takes 64 at most"
    assert served.call("preview_task", many, {"few": True})["refusal"].startswith(refused)
    assert served.refused("adapt", many, {}).startswith(f"The file {refused}")
    assert "There is no task 'nobody'" in served.refused("adapt", few, {"experts": ["nobody"]})
    assert served.refused("adapt", few, {"rank": "high"}).startswith("rank: ")
    job = served.call("adapt", few, {"experts": ["topic"], "rank": 2})["job"]
    shown = served.wait(job, "done", "failed")
    assert (shown["state"], shown["made"]) == ("done", "few@1")
    assert {*shown["result"]["combined_from"]} <= {"topic@1"}
    assert shown["command"] == [
        *("adapt", "--data", "few.csv", "--name", "few", "--expert", "topic@1"),
        *("--rank", "2", "--max-length", "128"),
    ]


def test_several_files_and_files_of_held_out_rows_are_queued(served: Served) -> None:
    rows = mood_rows()
    files = [
        handle_file(write_csv(served.folder / f"{name}.csv", part))
        for name, part in (("north", rows[:80]), ("dev", rows[80:95]), ("held", rows[95:]))
    ]
    shown = served.call("preview_task", files[0], {}, files[1], files[2])
    assert shown["rows"] == {"train": 80, "validation": 15, "test": 25}
    told = served.refused("add_task", files[0], {}, files[0])
    assert told == "The file north.csv: given for validation, but it is the data file itself."
    refused = served.refused("add_task", files[0], {"validation": "/etc/hostname"})
    assert refused == "Validation is a file: upload it, and give it beside the options."
    settings = {"base_model": served.model, "settings": {"epochs": 1}}
    job = served.call("add_task", files[0], settings, files[1], files[2])["job"]
    assert served.call("show_job", job)["command"][:9] == [
        *("add-task", "--data", "north.csv", "--name", "north"),
        *("--validation", "dev.csv", "--test", "held.csv"),
    ]
    several = served.call("add_tasks", files[1:], settings)["job"]
    shown = served.wait(several, "done", "failed")
    assert (shown["kind"], shown["made"]) == ("add_tasks", "dev@1, held@1")
    assert shown["command"][:5] == ["add-task", "--data", "dev.csv", "--data", "held.csv"]
    assert served.wait(job, "done", "failed")["made"] == "north@1"


def test_a_mixture_is_previewed_queued_and_done(served: Served) -> None:
    corpus = handle_file(
        write_csv(served.folder / "corpus.csv", [(text,) for text, _ in mood_rows()], ("text",))
    )
    wanted = {"experts": ["mood", "topic"]}
    shown = served.call("preview_corpus", corpus, wanted)
    assert (shown["refusal"], shown["teaches"]) == (None, "every token of its text")
    assert sum(shown["rows"].values()) == 120
    alone = "A mixture needs two experts or more, given mood: name more of them."
    assert served.refused("train_mixture", corpus, {"experts": ["mood"]}) == alone
    assert served.call("preview_corpus", corpus, {"experts": ["mood"]})["refusal"] == (
        alone[0].lower() + alone[1:-1]
    )
    bad = {"settings": {"gate": "some"}}
    assert served.refused("train_mixture", corpus, wanted | bad).startswith("Gate 'some' is unknown")
    asked = {**wanted, "settings": {"epochs": 1, "freeze_experts": True}}
    shown = served.wait(served.call("train_mixture", corpus, asked)["job"], "done", "failed")
    assert (shown["kind"], shown["state"]) == ("train_mixture", "done")
    assert shown["made"].startswith("router@")
    assert [point["epoch"] for point in shown["curve"]] == [1]
    assert shown["command"] == [
        *("train-mixture", "--data", "corpus.csv", "--experts", "mood@1", "topic@1"),
        *("--epochs", "1", "--freeze-experts"),
    ]


def test_a_text_with_choices_needs_an_expert_that_chooses(served: Served) -> None:
    assert "takes choices" in served.refused("predict", "Which?", *[None] * 9, ["a", "b"])
    assert "one choice is none" in served.refused("predict", "Which?", *[None] * 9, ["a"]).lower()


def test_a_job_is_cancelled_retried_and_cloned(served: Served) -> None:
    rows = handle_file(write_csv(served.folder / "long.csv", mood_rows()))
    asked = {"name": "long", "base_model": served.model, "settings": {"epochs": 500, "patience": 500}}
    job = served.call("add_task", rows, asked)["job"]
    served.wait(job, "running")
    assert served.call("cancel_job", job)["job"] == job
    assert served.wait(job, "cancelled")["made"] is None
    assert served.call("retry_job", job)["state"] in ("queued", "running")
    served.call("cancel_job", job)
    served.wait(job, "cancelled")
    clone = served.call("clone_job", job, {"epochs": 1})["job"]
    assert clone != job
    assert served.wait(clone, "done", "failed")["made"] == "long@1"
    assert "only jobs that wait or run can be cancelled" in served.refused("cancel_job", clone)


def test_a_job_with_wrong_rows_settings_or_options_is_refused(served: Served) -> None:
    good = handle_file(write_csv(served.folder / "good.csv", mood_rows()))
    bad = served.file("bad.csv", "text,label\nfine,good\nfine,bad\n")
    assert served.refused("add_task", bad, {"name": "x"}).startswith("The file bad.csv, line ")
    assert "epochs 0 is too small" in served.refused("add_task", good, {"settings": {"epochs": 0}}).lower()
    assert "no setting 'epoch'" in served.refused("add_task", good, {"settings": {"epoch": 1}})
    assert "colour" in served.refused("add_task", good, {"colour": "red"})
    assert "There is no job '99'" in served.refused("show_job", 99)
    assert "job" in served.refused("show_job", "x")
