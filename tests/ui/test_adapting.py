"""Experts from a few rows, and experts at once, on the command line."""

from pathlib import Path

from registry import Registry
from tests.ui.commands import Command, assert_refused, home_of, mood_rows, write_csv
from ui.views import experts

FEW = [(f"So {text.lower()}", label) for text, label in mood_rows()[::5]]
KEYS = {
    *("task", "kind", "expert", "created", "parameters", "sha256", "rows", "metrics", "findings", "seconds"),
    *("combined_from", "tried", "left_out", "base_alone", "rank", "rounding_error"),
}


def test_a_few_rows_become_an_expert_that_names_its_parents(
    registry_command: Command, tmp_path: Path
) -> None:
    few = write_csv(tmp_path / "few.csv", FEW)
    made = registry_command("adapt", "--data", str(few), "--device", "cpu", "--json").json
    assert {*made} == KEYS
    assert made["expert"] == "few@1"
    assert {*made["combined_from"]} <= {"mood@1", "topic@1"}
    assert {*made["left_out"]} == {*made["base_alone"]} == {"accuracy"}
    again = registry_command("adapt", "--data", str(few), "--device", "cpu")
    assert again.out.startswith("Nothing to do: these rows with these settings are few@1.\n")
    assert "accuracy, each row left out" in again.out
    assert again.err.endswith("Next: registry retrain-router\n")
    card = registry_command("show", "few@1", "--json").json
    assert card["combined_from"] == made["combined_from"]
    tree = registry_command("lineage", "few").out
    assert all(f"combined from {name}" in tree for name in made["combined_from"])
    with Registry(home_of(registry_command)) as registry:
        shown = experts.show_expert(registry, "few@1")
        assert shown["combined_from"] == made["combined_from"]
        for name in made["combined_from"]:
            assert "few@1" in experts.show_expert(registry, name)["used_by"]
    assert registry_command("verify").code == 0


def test_what_adapt_cannot_take_is_told_in_one_line(
    registry_command: Command, empty_command: Command, tmp_path: Path
) -> None:
    few = str(write_csv(tmp_path / "few.csv", FEW))
    short = str(write_csv(tmp_path / "short.csv", FEW[:6]))
    assert_refused(registry_command("adapt", "--data", short), 5, "6 rows; adapt needs 8 at least")
    assert_refused(registry_command("adapt", "--data", few, "--expert", "nobody"), 3, "nobody")
    assert_refused(empty_command("adapt", "--data", few), 3, "there is no expert to combine yet")
    same = str(write_csv(tmp_path / "same.csv", [(text, "good") for text, _ in FEW]))
    assert_refused(registry_command("adapt", "--data", same), 5, "at least two labels are needed")


def test_a_task_that_is_added_at_once_has_a_probe_first(registry_command: Command, tmp_path: Path) -> None:
    rows = write_csv(tmp_path / "quick.csv", mood_rows())
    with Registry(home_of(registry_command)) as registry:
        base = registry.base_models()[0].spec
    common = ("--base-model", base, "--device", "cpu", "--epochs", "1", "--json")
    added = registry_command("add-task", "--data", str(rows), "--instant", *common).json
    listed = registry_command("experts", "--all", "--json").json
    versions = [(one["expert"], one["adapter"]) for one in listed if one["task"] == "quick"]
    assert versions[0] == ("quick@1", "probe")
    assert added["expert"] == versions[-1][0]
    assert any("quick@1" in finding for finding in added["findings"])
