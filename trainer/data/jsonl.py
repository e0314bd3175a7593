"""JSON Lines, read strictly: one flat object a line, the same keys in each."""

import json
from collections.abc import Iterable, Iterator

from trainer.data.refusals import listed, quoted, refusal
from trainer.data.tables import Table, check_columns, decoded, gather, lines_of


class _Literal(str):
    """A JSON number or true/false, as its own text: 1.0 stays "1.0"."""

    __slots__ = ()


def parse_jsonl(content: bytes, source: str) -> Table:
    """The table in UTF-8 bytes with one JSON object a line; the first line gives the columns.

    Strings are taken as they are, numbers and true/false as their JSON text. A column that holds both
    is refused, since 1 and "1" would become one label.

    Raises:
        DataRefusedError: anything else, with the line.
    """
    return gather(JsonLinesReader(decoded(lines_of(content), source), source), content, source)


class JsonLinesReader:
    """The objects of a file one by one; keeps none of them.

    Attributes:
        columns: the keys of the first; header_line: where it stands.
    """

    def __init__(self, lines: Iterator[str], source: str) -> None:
        self.source = source
        self._lines = ((number, line) for number, line in enumerate(lines, start=1) if line.strip())
        self.header_line, first = next(self._lines, (0, ""))
        if not first:
            raise refusal(source, 1, "no rows: the file is empty")
        self._first = _record(first, source, self.header_line)
        self.columns = check_columns(list(self._first), source, self.header_line)
        self._literal = {name: isinstance(value, _Literal) for name, value in self._first.items()}

    def rows(self) -> Iterator[tuple[list[str], int]]:
        """The cells of each object, in the order of the columns, and its line; once.

        Raises:
            DataRefusedError: an object that is not like the first.
        """
        yield [str(self._first[name]) for name in self.columns], self.header_line
        for number, line in self._lines:
            record = _record(line, self.source, number)
            _check_same(record, self.columns, self._literal, self.source, number)
            yield [str(record[name]) for name in self.columns], number

    def findings(self) -> list[str]:
        """What was noticed, for a person."""
        return [
            f"column {quoted(name)} holds JSON numbers or true/false, taken as the text they are written with"
            for name in self.columns
            if self._literal[name]
        ]


def _record(line: str, source: str, number: int) -> dict[str, str]:
    """The object on one line, its values all text."""
    try:
        record = _DECODER.decode(line.strip(" \t\r\n"))
    except json.JSONDecodeError as error:
        raise refusal(source, number, f"not one JSON object: {error.msg} at column {error.colno}") from None
    except _RepeatedKeyError as error:
        raise refusal(
            source, number, f"the key {quoted(error.args[0])} appears twice in one object"
        ) from None
    except RecursionError:
        raise refusal(source, number, "lists or objects inside an object are not read") from None
    if not isinstance(record, dict):
        raise refusal(source, number, 'not a JSON object; write one object a line: {"text": "...", ...}')
    if not record:
        raise refusal(source, number, "an object without keys")
    return {key: _text(key, value, source, number) for key, value in record.items()}


def _text(key: str, value: object, source: str, number: int) -> str:
    if value is True or value is False:
        return _Literal("true" if value else "false")
    if value is None:
        raise refusal(source, number, f"the value of {quoted(key)} is null; write a text or drop the row")
    if not isinstance(value, str):
        raise refusal(source, number, f"the value of {quoted(key)} is a list or an object; only text is read")
    for part in (key, value):
        if "\0" in part:
            raise refusal(source, number, "a NUL character; remove it")
        if not part.isascii() and any("\ud800" <= character <= "\udfff" for character in part):
            raise refusal(source, number, f"half of a surrogate pair in {quoted(key)}; no such text exists")
    return value


def _check_same(
    record: dict[str, str], columns: tuple[str, ...], literal: dict[str, bool], source: str, number: int
) -> None:
    missing = [name for name in columns if name not in record]
    if missing:
        raise refusal(source, number, f"the key {quoted(missing[0])} of the first object is missing")
    if len(record) > len(columns):
        extra = [name for name in record if name not in literal]
        raise refusal(source, number, f"keys that the first object does not have: {listed(extra)}")
    for name, value in record.items():
        if isinstance(value, _Literal) is not literal[name]:
            raise refusal(
                source,
                number,
                f"{quoted(name)} is text in some rows and a number or true/false in others; quote them all",
            )


class _RepeatedKeyError(Exception):
    """The key given twice is its only argument."""


def _without_repeats(pairs: Iterable[tuple[str, object]]) -> dict[str, object]:
    record: dict[str, object] = {}
    for key, value in pairs:
        if key in record:
            raise _RepeatedKeyError(key)
        record[key] = value
    return record


def _refuse_constant(name: str) -> None:
    raise json.JSONDecodeError(f"{name} is not JSON", name, 0)


_DECODER = json.JSONDecoder(
    object_pairs_hook=_without_repeats,
    parse_int=_Literal,
    parse_float=_Literal,
    parse_constant=_refuse_constant,
)
