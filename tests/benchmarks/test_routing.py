"""The benchmark of routing among many tasks, run small on made tasks, and how it types their texts."""

import csv
import json
import sys
from pathlib import Path

import pytest

from benchmarks import routing

SUBJECTS = ("film", "soup", "train", "song")


@pytest.mark.parametrize(
    ("given", "well", "hurried", "half"),
    [
        (
            "a fine film , it 's well made ( really ) .",
            "A fine film, it's well made (really).",
            "a fine film , it 's well made ( really )",
            "a fine film , it 's",
        ),
        ("Why ?", "Why?", "why", "Why ?"),
        ("?!", "?!", "?!", "?!"),
        ("", "", "", ""),
    ],
)
def test_texts_are_typed_as_people_do(given: str, well: str, hurried: str, half: str) -> None:
    assert (routing.set_well(given), routing.hurried(given), routing.halved(given)) == (well, hurried, half)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Four tasks, each of a subject of its own."""
    folder = tmp_path / "data"
    lines = [["name", "folder", "kind", "router_suite", "rows_train"]]
    for subject in SUBJECTS:
        (folder / subject).mkdir(parents=True)
        lines.append([subject, subject, "classification", "1", "60"])
        with (folder / subject / "train.csv").open("w", newline="", encoding="utf-8") as file:
            rows = [[f"The {subject} number {place} was {('good', 'bad')[place % 2]}.", "ab"[place % 2]]
                    for place in range(60)]  # fmt: skip
            csv.writer(file).writerows([["text", "label"], *rows])
    with (folder / "MANIFEST.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(lines)
    return folder


def test_every_router_is_measured_in_every_way_of_typing(
    data: Path,
    tmp_path: Path,
    tiny_bert_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    options = ["--data", str(data), "--base-model", str(tiny_bert_folder), "--work", str(tmp_path / "work")]
    small = ["--sizes", "2", "4", "--draws", "2", "--rows", "60", "--json"]
    kinds = ["closed_form", "trigrams", "late_fusion"]
    monkeypatch.setattr(sys, "argv", ["routing", *options, *small, "--routers", *kinds])
    routing.main()
    report = json.loads(capsys.readouterr().out)
    assert [(row["tasks"], row["router"]) for row in report["table"]] == [
        (size, kind) for size in (2, 4) for kind in kinds
    ]
    for row in report["table"]:
        assert all(0 <= row[way]["median"] <= 1 for way in routing.WAYS)
        if row["router"] != "closed_form":
            assert row["as it is"]["median"] == row["typed in a hurry"]["median"] == 1
    assert set(report["ratios"]) == {f"{kind}_{size}_tasks" for size in (2, 4) for kind in kinds}
