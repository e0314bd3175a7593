"""The page about the format says what is true: its examples get the messages beside them."""

import re
from pathlib import Path

import pytest

from registry.errors import DataRefusedError
from trainer.data import read_table, read_task
from trainer.data.columns import PAIRS, SYNONYMS
from trainer.tasks import classification

PAGE = (Path(__file__).parents[3] / "docs" / "data-format.md").read_text(encoding="utf-8")
REFUSED = re.findall(r"```csv\n((?:(?!```)[^\0])*)```\n> (.*)\n", PAGE)


@pytest.mark.parametrize(("content", "message"), REFUSED, ids=[message for _, message in REFUSED])
def test_each_example_is_refused_with_its_message(
    content: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("task.csv").write_text(content, encoding="utf-8")
    with pytest.raises(DataRefusedError) as caught:
        read_task("task.csv", {"classification": classification})
    assert str(caught.value) == message


def test_both_formats_at_the_top_hold_the_same_rows(tmp_path: Path) -> None:
    for language in ("csv", "jsonl"):
        [content] = re.findall(rf"```{language}\n(.*?)```\n\n", PAGE, re.DOTALL)[:1]
        (tmp_path / f"task.{language}").write_text(content, encoding="utf-8")
    assert read_table(tmp_path / "task.csv").rows == read_table(tmp_path / "task.jsonl").rows


def test_every_column_name_that_is_known_is_on_the_page() -> None:
    for name in {name for names in SYNONYMS.values() for name in names}:
        assert f"`{name}`" in PAGE
    for pair in PAIRS:
        for name in pair:
            assert f"`{name}`" in PAGE or re.fullmatch(r"(text|sentence)_[12]", name)


def test_there_is_an_example_for_most_refusals() -> None:
    assert len(REFUSED) == 18
