"""Which column plays which role: options first, then exact names, then documented synonyms, never a guess."""

from collections.abc import Mapping, Sequence

from registry.errors import InvalidSettingError, NotFoundError, nearest
from trainer.data.refusals import listed, printable, quoted, refusal
from trainer.data.tables import Table

OPTIONS = {"text": "text", "text_pair": "text_pair", "label": "label", "target": "label"}
"""The roles that a caller can name a column for, and the option that does."""

ANSWERS = tuple(role for role, option in OPTIONS.items() if option == "label")
"""The roles of which a row has one: what is to be answered."""

SYNONYMS: dict[str, frozenset[str]] = {
    "text": frozenset(
        """sentence question utterance review comment message tweet post body content document input query
        headline description email sms prompt passage statement phrase""".split()
    ),
    "label": frozenset(
        """labels category class intent sentiment topic emotion stance tag gold_label label_text
        class_label class_name""".split()
    ),
    "target": frozenset("completion output response answer reply summary".split()),
    "split": frozenset(),
}

AMOUNTS = frozenset(
    "score scores similarity relatedness similarity_score relatedness_score rating_score".split()
)
"""Names of columns that hold amounts: the label where no other column is."""

PAIRS = (
    ("sentence1", "sentence2"),
    ("sentence_1", "sentence_2"),
    ("sentence_a", "sentence_b"),
    ("text1", "text2"),
    ("text_1", "text_2"),
    ("text_a", "text_b"),
    ("question1", "question2"),
    ("premise", "hypothesis"),
    ("question", "passage"),
    ("question", "context"),
    ("question", "sentence"),
    ("query", "passage"),
    ("query", "document"),
)
"""Column names that together are a text and its pair, in this order."""


def assign_columns(
    table: Table, required: Sequence[str], optional: Sequence[str], options: Mapping[str, str | None]
) -> dict[str, str]:
    """The column that plays each role, for all of `required` and those of `optional` that are found.

    Names are compared without regard to case, spaces and hyphens counting as underscores.

    Raises:
        NotFoundError: an option names a column that is not there.
        InvalidSettingError: one column is named for two roles.
        DataRefusedError: a required role has no column, or several could play a role.
    """
    chosen = _from_options(table, options)
    wanted = [role for role in (*required, *optional) if role not in chosen]
    for role in wanted:
        _choose(table, chosen, role, [name for name in table.columns if name == role])
    for role in wanted:
        _choose(table, chosen, role, [name for name in table.columns if _plain(name) == role])
    if "text" in wanted and "text_pair" in wanted and not chosen.keys() & {"text", "text_pair"}:
        _choose_pair(table, chosen)
    for role in (role for role in wanted if role != "target"):
        _choose_synonym(table, chosen, role)
    if "label" in wanted:
        _choose(table, chosen, "label", [name for name in table.columns if names_amounts(name)])
    if "target" in wanted and "label" not in chosen:  # Beside a label, such a name says nothing.
        _choose_synonym(table, chosen, "target")
    for role in required:
        if role not in chosen:
            raise refusal(table.source, table.header, _missing(role, table.columns))
    order = (*required, *optional)
    return {role: chosen[role] for role in order if role in chosen}


def answer_of(values: Mapping[str, str]) -> str | None:
    """The answer of a row, by its values; None where it has none."""
    return next((values[role] for role in ANSWERS if role in values), None)


def names_amounts(column: str) -> bool:
    """Whether a column of this name holds amounts."""
    return _plain(column) in AMOUNTS


def columns_finding(roles: Mapping[str, str], table: Table) -> str:
    """What was chosen, for a person."""
    played = ", ".join(
        quoted(column) if role == column else f"{quoted(column)} as {role}" for role, column in roles.items()
    )
    unused = [name for name in table.columns if name not in roles.values()]
    return f"columns used: {played}" + (f"; not used: {listed(unused)}" if unused else "")


def _from_options(table: Table, options: Mapping[str, str | None]) -> dict[str, str]:
    chosen: dict[str, str] = {}
    for role, name in options.items():
        if name is None:
            continue
        if name not in table.columns:
            raise NotFoundError(
                f"{printable(table.source)} has no column {quoted(name)}.{nearest(name, table.columns)}"
                f" Its columns: {listed(table.columns)}"
            )
        if name in chosen.values():
            raise InvalidSettingError(f"the column {quoted(name)} is named for two roles; name one for each")
        chosen[role] = name
    return chosen


def _choose(table: Table, chosen: dict[str, str], role: str, candidates: list[str]) -> None:
    """Give the role its column when exactly one that is still free fits."""
    free = [name for name in candidates if name not in chosen.values()]
    if role in chosen or not free:
        return
    if len(free) > 1:
        raise refusal(
            table.source,
            table.header,
            f"several columns could be the {role}: {listed(free)}; {_advice(role)}",
        )
    chosen[role] = free[0]


def _choose_synonym(table: Table, chosen: dict[str, str], role: str) -> None:
    synonyms = SYNONYMS.get(role, frozenset())
    _choose(table, chosen, role, [name for name in table.columns if _plain(name) in synonyms])


def _choose_pair(table: Table, chosen: dict[str, str]) -> None:
    free = {_plain(name): name for name in table.columns if name not in chosen.values()}
    pairs = [(free[first], free[second]) for first, second in PAIRS if first in free and second in free]
    if len(pairs) > 1:
        names = sorted({name for pair in pairs for name in pair})
        raise refusal(
            table.source,
            table.header,
            f"several columns could be the text and its pair: {listed(names)}; {_advice('text')}",
        )
    if pairs:
        chosen["text"], chosen["text_pair"] = pairs[0]


def _missing(role: str, columns: Sequence[str]) -> str:
    return f"no column is known as the {role}; its columns are {listed(tuple(columns))}; {_advice(role)}"


def _advice(role: str) -> str:
    if role not in OPTIONS:
        return f"call one of them {quoted(role)}"
    return f"say which with --{OPTIONS[role].replace('_', '-')}, or call one of them {quoted(role)}"


def _plain(name: str) -> str:
    return name.strip().casefold().replace(" ", "_").replace("-", "_")
