"""Mixtures of experts on the command line."""

from pathlib import Path

from tests.ui.commands import Command, assert_refused, mood_rows, write_csv

KEYS = {
    *("generation", "router", "created", "experts", "came_from", "frozen", "parameters"),
    *("rows", "metrics", "history", "findings", "seconds"),
}
QUICK = ("--epochs", "2", "--batch-size", "16", "--device", "cpu")


def corpus(folder: Path) -> str:
    texts = [(f"{text} So it is {label}.", "") for text, label in mood_rows()]
    return str(write_csv(folder / "corpus.csv", [(text,) for text, _ in texts], columns=("text",)))


def test_experts_are_mixed_by_one_command_and_answer_together(
    registry_command: Command, tmp_path: Path
) -> None:
    data = corpus(tmp_path)
    asked = ("train-mixture", "--data", data, "--experts", "mood", "topic", *QUICK)
    made = registry_command(*asked, "--freeze-experts", "--json").json
    assert {*made} == KEYS
    assert (made["generation"], made["frozen"], made["experts"]) == ("router@2", True, ["mood@1", "topic@1"])
    assert {*made["metrics"]} == {"validation", "test"}
    again = registry_command(*asked, "--freeze-experts")
    assert again.out.startswith("Nothing to do: these experts, rows and settings are router@2.\n")
    assert again.err.endswith("Next: registry promote router@2\n")
    said = registry_command("predict", "A lovely film.", "--router", "router@2", "--json").json
    [one] = said if isinstance(said, list) else [said]
    assert {*one["mixed"]} == {"mood@1", "topic@1"}
    assert one["expert"] == next(iter(one["mixed"]))
    learnt = registry_command(*asked)
    assert "router@3 is trained: soft_token over 2 experts." in learnt.out
    assert "mood@2, topic@2 (after mood@1, topic@1)" in learnt.out
    assert "router@3 is not in production." in learnt.out
    assert "combined from mood@1" in registry_command("lineage", "mood").out
    rows = ", ".join(f"{made['rows'][split]} {split}" for split in ("train", "validation", "test"))
    for name in ("router@2", "router@3", "mood@2"):
        tree = registry_command("lineage", name).out
        assert f"trained on corpus.csv  {rows} rows, " in tree
    for command in (
        ("routers",),
        ("show", "router@3"),
        ("lineage", "router@3"),
        ("history",),
        ("experts", "--all"),
        ("show", "mood@2"),
        ("evaluate", "router@3", "--device", "cpu"),
        ("promote", "router@3"),
        ("retrain-router", "--device", "cpu", "--promote"),
        ("rollback",),
        ("verify",),
        ("fsck",),
        ("jobs", "list"),
    ):
        assert registry_command(*command).code == 0, command
    again = registry_command(*asked)
    assert again.out.startswith("Nothing to do: these experts, rows and settings are router@3.\n")
    assert again.out.endswith("router@production is router@3.\n")


def test_a_mixture_can_wait_in_the_queue(registry_command: Command, tmp_path: Path) -> None:
    asked = ("train-mixture", "--data", corpus(tmp_path), "--experts", "mood", "--experts", "topic", *QUICK)
    waiting = registry_command(*asked, "--detach", "--json").json
    assert registry_command("worker", "--drain").code == 0
    done = registry_command("jobs", "show", str(waiting["job"]), "--json").json
    assert (done["kind"], done["state"], done["result"]["generation"]) == (
        "train_mixture",
        "done",
        "router@2",
    )


def test_what_cannot_be_mixed_is_told_in_one_line(registry_command: Command, tmp_path: Path) -> None:
    data = corpus(tmp_path)
    ask = ("train-mixture", "--data", data, "--experts")
    assert_refused(registry_command(*ask, "mood"), 2, "a mixture needs two experts or more, given mood")
    assert_refused(registry_command(*ask, "mood", "nobody"), 3, "nobody")
    assert_refused(registry_command(*ask, "mood", "topic", "--gate", "some"), 2, "gate 'some' is unknown")
    refused = registry_command("retrain-router", "--router", "soft_token", "--device", "cpu")
    assert_refused(refused, 2, "soft_token is not fitted but trained: registry train-mixture")
    registry_command(*ask, "mood", "topic", "--freeze-experts", *QUICK)
    wish = ("predict", "A lovely film.", "--router", "router@2", "--top-k", "2")
    assert_refused(registry_command(*wish), 2, "all experts answer together here: leave out top-k")
