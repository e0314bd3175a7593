"""Every bad input: one line on stderr, the right exit code, nothing on stdout, nothing half-made."""

import os
import pickle
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path

import pytest

from registry import Registry
from registry.records import RunFacts
from registry.tensors import pack
from tests.tiny_models import tiny_llama
from tests.ui.commands import Command, Outcome, Trained, mood_rows, run, write_csv

ROOT = Path(__file__).parents[2]


def assert_refused(outcome: Outcome, code: int, *words: str) -> None:
    assert outcome.out == ""
    errors = [line for line in outcome.err.splitlines() if line.startswith("Error: ")]
    assert len(errors) == 1, outcome.err
    assert "Traceback" not in outcome.err
    for word in words:
        assert word in errors[0]
    assert outcome.code == code, outcome.err


def home_of(command: Command) -> Path:
    return Path(command("path", "home").out.strip())


@pytest.mark.parametrize(
    ("arguments", "near"),
    [
        (("show", "mod"), "'mood'"),
        (("show", "mood@9"), "mood@9"),
        (("show", "router@9"), "router@9"),
        (("lineage", "topc"), "'topic'"),
        (("lineage", "mood@stable"), "mood@stable"),
        (("diff", "mood@1", "mood@2"), "mood@2"),
        (("experts", "--task", "mod"), "'mood'"),
        (("promote", "router@9"), "router@9"),
        (("promote", "mood@7"), "mood@7"),
        (("history", "producton"), "'router@production'"),
        (("alias", "nothing", "--remove"), "nothing"),
        (("verify", "mod@1"), "'mood'"),
        (("evaluate", "mod"), "'mood'"),
        (("predict", "a text", "--expert", "mod"), "'mood'"),
        (("predict", "a text", "--router", "router@9"), "router@9"),
        (("predict", "--data", "/nowhere/texts.csv"), "/nowhere/texts.csv"),
        (("add-task", "--data", "/nowhere/rows.csv"), "/nowhere/rows.csv"),
        (("retrain-router", "--router", "closed_from"), "'closed_form'"),
        (("retrain-router", "--expert", "mod"), "'mood'"),
    ],
    ids=lambda value: " ".join(value).replace("/", "-") if isinstance(value, tuple) else "",
)
def test_an_unknown_name_is_3_and_the_nearest_is_suggested(
    registry_command: Command, arguments: tuple[str, ...], near: str
) -> None:
    assert_refused(registry_command(*arguments), 3, near)


@pytest.mark.parametrize(
    ("options", "near"),
    [
        (("--text", "txt"), "'text'"),
        (("--label", "lable"), "'label'"),
        (("--text-pair", "pair"), "pair"),
        (("--adapter", "ttlora"), "'tt_lora'"),
        (("--preset", "papr"), "'paper'"),
        (("--kind", "clasification"), "'classification'"),
        (("--base-model", "minilm"), "'minilm-l6'"),
        (("--base-model", "/nowhere/model"), "/nowhere/model"),
        (("--validation", "/nowhere/more.csv"), "/nowhere/more.csv"),
    ],
    ids=lambda value: " ".join(value).replace("/", "-") if isinstance(value, tuple) else "",
)
def test_an_unknown_column_kind_or_model_is_3_and_the_nearest_is_suggested(
    registry_command: Command,
    trained: Trained,
    tiny_llama_folder: Path,
    options: tuple[str, str],
    near: str,
) -> None:
    model = () if "--base-model" in options else ("--base-model", str(tiny_llama_folder))
    arguments = ("add-task", "--data", str(trained.files["mood"]), "--name", "other", *model, *options)
    assert_refused(registry_command(*arguments), 3, near)
    assert [task["task"] for task in registry_command("tasks", "--json").json] == ["mood", "topic"]


@pytest.mark.parametrize(
    "options",
    [
        ("--rank", "1000"),
        ("--device", "tpu"),
        ("--max-length", "100000"),
        ("--first-layer", "99"),
        ("--name", "Not A Name!"),
        ("--name", "router"),
        ("--learning-rate", "nan"),
        ("--learning-rate", "-1"),
        ("--alpha", "inf"),
    ],
    ids=" ".join,
)
def test_a_setting_outside_what_is_allowed_is_2(
    registry_command: Command, trained: Trained, tiny_llama_folder: Path, options: tuple[str, str]
) -> None:
    base = ("--base-model", str(tiny_llama_folder), "--epochs", "1")
    outcome = registry_command("add-task", "--data", str(trained.files["mood"]), *base, *options)
    assert_refused(outcome, 2, options[1])
    assert len(registry_command("experts", "--all", "--json").json) == 2


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "no rows"),
        (b"text,label\n", "no rows"),
        (b"text,label\nfine,a\ngood,a\n", "label"),
        (b"text,label\nfine,a,extra\ngood,b\n", "2"),
        (b"text,label\nfine\ngood,b\n", "2"),
        (b'text,label\n"fine,a\ngood,b\n', "quote"),
        (b"text,label\nfi\xffne,a\ngood,b\n", "UTF-8"),
        (b"text,label\nfi\0ne,a\ngood,b\n", "NUL"),
        (b"text,text,label\nx,fine,a\ny,good,b\n", "text"),
        (b"words,more\nfine,a\ngood,b\n", "text"),
    ],
    ids=[
        "empty",
        "header alone",
        "one class",
        "long row",
        "short row",
        "quote",
        "latin",
        "nul",
        "twice",
        "names",
    ],
)
def test_a_file_that_cannot_be_taken_as_written_is_5(
    registry_command: Command, tiny_llama_folder: Path, tmp_path: Path, content: bytes, words: str
) -> None:
    path = tmp_path / "bad.csv"
    path.write_bytes(content)
    outcome = registry_command("add-task", "--data", str(path), "--base-model", str(tiny_llama_folder))
    assert_refused(outcome, 5, "bad.csv", words)
    assert [task["task"] for task in registry_command("tasks", "--json").json] == ["mood", "topic"]


def test_a_label_that_training_never_sees_is_5(
    registry_command: Command, trained: Trained, tiny_llama_folder: Path, tmp_path: Path
) -> None:
    test = write_csv(tmp_path / "test.csv", [("The bridge was fine.", "good"), ("So so.", "mixed")])
    arguments = ("--data", str(trained.files["mood"]), "--test", str(test), "--name", "other")
    outcome = registry_command("add-task", *arguments, "--base-model", str(tiny_llama_folder))
    assert_refused(outcome, 5, "mixed")


def test_a_task_of_another_kind_under_that_name_is_4(
    registry_command: Command, trained: Trained, tiny_llama_folder: Path
) -> None:
    with Registry(home_of(registry_command)) as registry:
        facts = {
            "labels": (),
            "content": b"rows",
            "rows": {},
            "columns": {},
            "source": "a file",
            "findings": (),
        }
        registry.add_dataset(task="price", kind="regression", **facts)
    arguments = ("--data", str(trained.files["mood"]), "--name", "price")
    outcome = registry_command("add-task", *arguments, "--base-model", str(tiny_llama_folder))
    assert_refused(outcome, 4, "price", "regression")


def test_a_base_model_that_has_changed_is_4(tmp_path: Path) -> None:
    model = tiny_llama(tmp_path / "model")
    rows = write_csv(tmp_path / "mood.csv", mood_rows())
    home = tmp_path / "home"
    added = run(home, "add-task", "--data", str(rows), "--base-model", str(model), "--epochs", "1")
    assert added.code == 0, added.err
    shutil.rmtree(model)
    tiny_llama(model, seed=1)
    assert_refused(run(home, "predict", "a text", "--expert", "mood"), 4, "model")


def test_experts_of_two_base_models_have_no_common_router(
    registry_command: Command, trained: Trained, tiny_bert_folder: Path
) -> None:
    arguments = ("--data", str(trained.files["mood"]), "--name", "third", "--epochs", "1")
    added = registry_command("add-task", *arguments, "--base-model", str(tiny_bert_folder))
    assert added.code == 0, added.err
    assert_refused(registry_command("retrain-router"), 4, "third@1")
    assert len(registry_command("routers", "--json").json) == 1


def blob_of(command: Command, digest: str) -> Path:
    [path] = (home_of(command) / "blobs").rglob(f"*{digest[2:]}*")
    path.chmod(0o600)
    return path


@pytest.mark.parametrize("damage", ["cut", "flipped", "pickle", "empty", "gone"])
def test_a_damaged_blob_is_1_and_never_used(registry_command: Command, trained: Trained, damage: str) -> None:
    blob = blob_of(registry_command, trained.added["mood"]["sha256"])
    content = blob.read_bytes()
    flipped = content[:-9] + bytes([content[-9] ^ 4]) + content[-8:]
    damaged = {"cut": content[:-100], "flipped": flipped, "pickle": pickle.dumps({"a": 1}), "empty": b""}
    if damage == "gone":
        blob.unlink()
    else:
        blob.write_bytes(damaged[damage])
    assert_refused(registry_command("predict", "a text", "--expert", "mood@1"), 1)
    found = registry_command("verify", "mood@1", "--json")
    assert found.code == 1
    assert "mood@1" in found.out
    assert registry_command("verify", "topic@1").code == 0


def test_tensors_of_wrong_shapes_are_1_and_never_used(registry_command: Command) -> None:
    with Registry(home_of(registry_command)) as registry:
        good = registry.expert("mood@1")
        tensors, about = registry.tensors("mood@1")
        wrong = pack({name: values[..., :-1].copy() for name, values in tensors.items()}, about)
        run = registry.run(good.run)
        facts = {field.name: getattr(run, field.name) for field in fields(RunFacts)}
        same = {name: getattr(good, name) for name in ("task", "dataset", "base_model", "adapter", "config")}
        registry.add_expert(
            **same,
            labels=good.labels,
            parameters=good.parameters,
            payload=wrong,
            settings_key="wrong",
            run=RunFacts(**facts),
        )
    assert_refused(registry_command("predict", "a text", "--expert", "mood@2"), 1, "mood@2")


def test_a_database_newer_than_the_program_is_1(registry_command: Command) -> None:
    database = sqlite3.connect(home_of(registry_command) / "registry.db")
    with database:
        database.execute("UPDATE alembic_version SET version_num = '9999'")
    database.close()
    assert_refused(registry_command("experts"), 1, "9999")
    assert_refused(registry_command("migrate"), 1, "9999")


def test_a_file_that_is_no_database_is_1(registry_command: Command) -> None:
    (home_of(registry_command) / "registry.db").write_bytes(b"something else entirely" * 500)
    assert_refused(registry_command("experts"), 1, "registry.db")


def test_a_home_that_is_a_file_is_1(tmp_path: Path) -> None:
    (tmp_path / "home").write_text("a file")
    assert_refused(run(tmp_path / "home" / "below", "experts"), 1, "home")


def test_a_home_where_nothing_can_be_made_is_1() -> None:
    assert_refused(run(Path("/proc/registry"), "experts"), 1, "/proc/registry")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_home_without_permission_is_1(registry_command: Command) -> None:
    home = home_of(registry_command)
    home.chmod(0o500)
    (home / "registry.db").chmod(0o400)
    outcome = registry_command("promote", "router@1", "--alias", "other")
    home.chmod(0o700)
    assert_refused(outcome, 1, "registry.db")


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """Writing past `size` bytes of any file fails, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)


def test_a_full_disk_is_1_and_leaves_nothing_behind(
    registry_command: Command, empty_command: Command
) -> None:
    with files_of_at_most(2_000):
        outcome = empty_command("tasks")
    assert_refused(outcome, 1, "registry.db")
    assert empty_command("tasks", "--json").json == []
    home = home_of(registry_command)
    before = (home / "registry.db").read_bytes()
    with files_of_at_most(2_000):
        outcome = registry_command("promote", "router@1", "--alias", "other")
    assert_refused(outcome, 1)
    assert registry_command("verify").code == 0
    assert (home / "registry.db").read_bytes() == before


def test_ctrl_c_is_130_and_the_same_command_goes_on(
    registry_command: Command, trained: Trained, tiny_llama_folder: Path
) -> None:
    home = home_of(registry_command)
    arguments = ["add-task", "--data", str(trained.files["mood"]), "--name", "third", "--epochs", "500"]
    options = ["--base-model", str(tiny_llama_folder), "--device", "cpu", "--home", str(home)]
    command = [sys.executable, "-m", "ui.cli", *arguments, *options]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT
    ) as running:
        assert running.stderr is not None
        running.stderr.readline()  # the first stage: the command is at work
        running.send_signal(signal.SIGINT)
        out, err = running.communicate(timeout=60)
    assert_refused(Outcome(running.returncode, out, err), 130, "Interrupted")
    assert registry_command("verify").code == 0
    assert [one["task"] for one in registry_command("experts", "--json").json] == ["mood", "topic"]
    again = registry_command(*arguments[:-1], "1", "--base-model", str(tiny_llama_folder))
    assert again.out.startswith("third@1 is frozen.")


def test_without_a_router_predict_says_what_to_run(tmp_path: Path) -> None:
    assert_refused(run(tmp_path / "new", "predict", "a text"), 3, "retrain-router")
    assert_refused(run(tmp_path / "new", "retrain-router"), 3, "add-task")


def test_a_text_that_is_not_utf8_is_2(registry_command: Command) -> None:
    assert_refused(registry_command("predict", "caf\udce9"), 2, "UTF-8")
