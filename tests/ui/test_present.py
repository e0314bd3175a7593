from datetime import UTC, datetime
from types import SimpleNamespace

import pytest

from ui import present


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("two words", "two words"),
        ("a\tb\nc", "a b c"),
        ("\x1b[31mred\x1b[0m", "\N{REPLACEMENT CHARACTER}[31mred\N{REPLACEMENT CHARACTER}[0m"),
        ("right\u202eleft", "right\N{REPLACEMENT CHARACTER}left"),
        ("naïve 日本 🙂", "naïve 日本 🙂"),
        ("half \ud800", "half \N{REPLACEMENT CHARACTER}"),
    ],
    ids=["plain", "white space", "colour codes", "turned direction", "other scripts", "half a character"],
)
def test_text_that_could_steer_a_terminal_is_made_plain(given: str, shown: str) -> None:
    assert present.plain(given) == shown


def test_long_text_is_cut_with_an_ellipsis() -> None:
    assert present.plain("abcdef", 6) == "abcdef"
    assert present.plain("abcdefg", 6) == "abcde…"


def test_numbers_read_well() -> None:
    shown = [present.number(n) for n in (None, 0, 55880, 0.0, 0.5, 0.98765, 0.00012)]
    assert shown == ["-", "0", "55,880", "0.000", "0.500", "0.988", "0.00012"]


def test_sizes_read_well() -> None:
    assert [present.size(n) for n in (0, 999, 1000, 223_520, 5_000_000_000_000)] == [
        "0 B",
        "999 B",
        "1.0 kB",
        "223.5 kB",
        "5.0 TB",
    ]


def test_any_json_value_is_one_line() -> None:
    values = [None, True, False, 3, 0.5, ["a", 1], [], "x\ny"]
    assert [present.value(v) for v in values] == ["-", "yes", "no", "3", "0.500", "a, 1", "-", "x y"]
    assert present.value(datetime(2026, 1, 31, 12, tzinfo=UTC)).startswith("2026-01-31")


def test_a_bar_has_the_same_width_for_every_share() -> None:
    assert {len(present.bar(share / 10)) for share in range(11)} == {present.BAR}
    assert present.bar(0) == "░" * 20
    assert present.bar(1) == "█" * 20


def test_of_several_measurements_the_newest_counts() -> None:
    newest_first = [
        SimpleNamespace(split="test", metric="accuracy", value=0.9),
        SimpleNamespace(split="test", metric="accuracy", value=0.5),
        SimpleNamespace(split="validation", metric="accuracy", value=0.8),
    ]
    assert present.metrics(newest_first) == {"test": {"accuracy": 0.9}, "validation": {"accuracy": 0.8}}


def test_a_table_aligns_figures_right_and_cuts_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    present.echo_table(("name", "count"), [("x" * 300, "1,234"), ("[bold]y[/bold]", "5")])
    lines = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    assert lines == [
        "name" + " " * 296 + "  count",
        "x" * 300 + "  1,234",
        "[bold]y[/bold]" + " " * 286 + "      5",
    ]


def test_a_prediction_names_the_runners_up(capsys: pytest.CaptureFixture[str]) -> None:
    prediction = SimpleNamespace(
        text="is the sky blue?",
        label="yes",
        probability=0.93,
        task="boolq",
        expert="boolq@1",
        weights={"trec": 0.04, "boolq": 0.94, "sst2": 0.02, "cola": 0.0},
        cut=False,
        reason=None,
        mixed={},
        base_model=None,
    )
    present.echo_prediction(prediction)
    assert capsys.readouterr().out.splitlines() == [
        "is the sky blue?",
        "  yes  ███████████████████░ 0.93  by boolq@1",
        "  also considered: trec 0.04, sst2 0.02",
    ]
