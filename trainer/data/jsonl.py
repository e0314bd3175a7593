"""JSON Lines, read strictly: one flat object a line, the same keys in each."""

import json
from collections.abc import Iterable

from trainer.data.refusals import listed, quoted, refusal
from trainer.data.tables import Table, check_columns, check_size, control_finding, decoded_lines


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
    columns: tuple[str, ...] = ()
    literal: dict[str, bool] = {}
    rows: list[list[str]] = []
    lines: list[int] = []
    for number, line in enumerate(decoded_lines(content, source), start=1):
        if not line.strip():
            continue
        record = _record(line, source, number)
        if not columns:
            columns = check_columns(list(record), source, number)
            literal = {name: isinstance(value, _Literal) for name, value in record.items()}
        _check_same(record, columns, literal, source, number)
        cells = [str(record[name]) for name in columns]
        check_size(cells, source, number, len(rows) + 1)
        rows.append(cells)
        lines.append(number)
    if not rows:
        raise refusal(source, 1, "no rows: the file is empty")
    findings = [
        f"column {quoted(name)} holds JSON numbers or true/false, taken as the text they are written with"
        for name in columns
        if literal[name]
    ]
    findings += control_finding(content)
    return Table(source=source, columns=columns, rows=rows, lines=lines, findings=tuple(findings))


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
