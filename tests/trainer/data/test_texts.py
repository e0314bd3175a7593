"""Files too large to be kept give the texts, and the refusals, that they would give if they were kept."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from registry.errors import DataRefusedError, RegistryError
from trainer.data import read_texts
from trainer.data.texts import LargeTexts
from trainer.inputs import Input

OPTIONS: dict[str, str | None] = {"text": None, "text_pair": None}
GOOD = {
    "plain.csv": 'text,label\none,a\n"two, with a comma",b\n"three\nlines\n",c\n\nfour,d\n',
    "pairs.tsv": "premise\thypothesis\na\tb\r\nc\td\r\n",
    "marked.csv": "\ufefftext\nÄ\n\u4e2d\n",
    "objects.jsonl": '{"text": "one", "n": 1}\n\n{"n": 2, "text": "two\\nlines"}\n',
}
BAD = {
    "ragged.csv": "text,label\none,a\ntwo\n",
    "empty_text.csv": "text,label\none,a\n  ,b\n",
    "quotes.csv": 'text,label\none,a"b\n',
    "open.csv": 'text,label\n"one,a\ntwo,b\n',
    "only_header.csv": "text,label\n",
    "nothing.csv": "",
    "no_column.csv": "alpha,beta\n1,2\n",
    "blank.csv": "text\none\n\ntwo\n",
    "keys.jsonl": '{"text": "one"}\n{"test": "two"}\n',
    "kinds.jsonl": '{"text": "one"}\n{"text": 2}\n',
    "long.csv": f"text\n{'a' * 100_001}\n",
}


def both(path: Path) -> list[list[Input] | str]:
    """What comes of a file that is kept, and of the same file read line by line."""
    found: list[list[Input] | str] = []
    for way in (lambda: read_texts(path), lambda: LargeTexts(str(path), OPTIONS)):
        try:
            found.append(list(way()))
        except RegistryError as refusal:
            found.append(str(refusal))
    return found


@pytest.mark.parametrize("name", [*GOOD, *BAD])
def test_a_large_file_is_taken_or_refused_like_a_small_one(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_text((GOOD | BAD)[name], encoding="utf-8", newline="")
    kept, streamed = both(path)
    assert kept == streamed
    assert isinstance(kept, list) is (name in GOOD)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200)
@given(st.text(alphabet='a, "\n\r\té\u200b;|', max_size=40), st.sampled_from(["csv", "tsv", "jsonl"]))
def test_so_is_any_other(tmp_path: Path, body: str, ending: str) -> None:
    if "\r" in body and "\n" not in body:
        body += "\n"
    path = tmp_path / f"any.{ending}"
    path.write_text(f"text\n{body}" if ending != "jsonl" else body, encoding="utf-8", newline="")
    kept, streamed = both(path)
    # Of two faults in one file they may name either: the one looks at all rows before it looks into one.
    assert kept == streamed or (isinstance(kept, str) and isinstance(streamed, str))


def test_a_large_file_is_gone_through_as_often_as_wanted(tmp_path: Path) -> None:
    path = tmp_path / "plain.csv"
    path.write_text(GOOD["plain.csv"])
    texts = LargeTexts(str(path), OPTIONS)
    assert len(texts) == 4
    assert list(texts) == list(texts) == list(read_texts(path))


def test_a_file_larger_than_what_is_kept_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "plain.csv"
    path.write_text("text\n" + "some words\n" * 1000)
    monkeypatch.setattr("trainer.data.texts.MAX_BYTES", 1000)
    texts = read_texts(path)
    assert isinstance(texts, LargeTexts)
    assert list(texts) == [Input("some words")] * 1000


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("text\none\n".encode("utf-16"), "UTF-16, and too large to be converted"),
        (b"text\none\rtwo\r", "a lone carriage return"),
        (b"text\n\xff\n", "is not UTF-8"),
        (b"PK\x03\x04text\n", "holds zip or spreadsheet data"),
    ],
)
def test_what_cannot_be_read_line_by_line_is_refused(tmp_path: Path, content: bytes, reason: str) -> None:
    path = tmp_path / "large.csv"
    path.write_bytes(content)
    with pytest.raises(DataRefusedError, match=reason):
        LargeTexts(str(path), OPTIONS)
