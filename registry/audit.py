"""Everything that was ever done, in the order of time: one list over many tables, a page at a time."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from sqlalchemy import (
    ColumnElement,
    CompoundSelect,
    Connection,
    Integer,
    Select,
    Text,
    bindparam,
    case,
    column,
    func,
    literal,
    null,
    or_,
    select,
    type_coerce,
    union_all,
)

from registry import schema
from registry.columns import Time
from registry.errors import InvalidSettingError
from registry.names import ROUTER

if TYPE_CHECKING:
    from registry.store import Registry


_ESCAPE = "/"


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One thing that was done."""

    at: datetime
    kind: str
    """One of KINDS."""
    subject: str
    """Such as `sst2`, `sst2@3`, `router@12`, `sst2/data@2`, `router@production`, `run 7` or `job 5`."""
    actor: str | None
    """Who did it, where that is on record."""
    what: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which events: those of some kinds (all, if none is named) that hold the given texts, in any case."""

    kinds: Sequence[str] = ()
    subject: str = ""
    actor: str = ""
    text: str = ""
    """Somewhere in subject, actor or what."""


def events(
    registry: "Registry", wanted: Wanted | None = None, *, limit: int = 100, offset: int = 0
) -> tuple[list[Event], int]:
    """One page of events, newest first, and how many there are on all pages.

    Raises:
        InvalidSettingError: An unknown kind.
    """
    return registry._database.read(_page, wanted or Wanted(), limit, offset)


def _page(connection: Connection, wanted: Wanted, limit: int, offset: int) -> tuple[list[Event], int]:
    unknown = [kind for kind in wanted.kinds if kind not in _TOLD]
    if unknown:
        raise InvalidSettingError(f"There is no kind of event {unknown[0]!r}. Kinds: {', '.join(KINDS)}.")
    given = {"subject": wanted.subject, "actor": wanted.actor, "text": wanted.text}
    texts = {name: _pattern(text) for name, text in given.items() if text}
    statements = _statements(tuple(wanted.kinds) or KINDS, tuple(texts))
    # Times first: texts are put together for this page alone, not for all that stand before it.
    page: Sequence[Any]
    if texts:
        # Every event has to be looked at once, as it lies: in order, SQLite would look up each by its time.
        every = sorted(connection.scalars(statements.times, texts), reverse=True)
        total, page = len(every), every[offset : offset + limit]
        newer = every.index(page[0]) if page else 0
    else:
        total = sum(connection.scalars(statements.counts))
        page = connection.scalars(statements.times_of_page, {"limit": limit, "offset": offset}).all()
        newer = sum(connection.scalars(statements.newer, {"newest": page[0]})) if page else 0
    if not page:
        return [], total
    wanted_rows = {**texts, "times": [*{*page}], "limit": limit, "offset": offset - newer}
    rows = connection.execute(statements.page, wanted_rows)
    return [Event(**row._mapping) for row in rows], total


class _Statements:
    """What reads events of some kinds, filtered by some texts of `Wanted`, which come as parameters."""

    def __init__(self, kinds: Sequence[str], filters: Collection[str]) -> None:
        found = [one.where(*_conditions(one, filters)) for one in (_TOLD[kind]() for kind in kinds)]
        rows = {"limit": bindparam("limit", type_=Integer), "offset": bindparam("offset", type_=Integer)}
        self.times = _union(one.with_only_columns(_at(one), maintain_column_froms=True) for one in found)
        self.times_of_page = (
            self.times.order_by(column("at").desc()).limit(rows["limit"]).offset(rows["offset"])
        )
        self.counts = _counts(found)
        self.newer = _counts(one.where(_at(one) > bindparam("newest", type_=Time)) for one in found)
        times = bindparam("times", type_=Time, expanding=True)
        self.page = (
            _union(one.where(_at(one).in_(times)) for one in found)
            .order_by(column("at").desc(), column("kind"), column("subject"))
            .limit(rows["limit"])
            .offset(rows["offset"])
        )


# To put them together, and to find what SQLAlchemy made of them before, takes as long as to read a page.
_statements = lru_cache(maxsize=64)(_Statements)


def _at(told: Select[Any]) -> Any:
    return told.selected_columns.at


def _union(found: Iterable[Select[Any]]) -> CompoundSelect[Any]:
    """Ordered itself, not inside another select: so SQLite merges what the indexes give in order."""
    return union_all(*found)


def _counts(found: Iterable[Select[Any]]) -> CompoundSelect[Any]:
    return union_all(*(one.with_only_columns(func.count(), maintain_column_froms=True) for one in found))


def _pattern(text: str) -> str:
    """What LIKE takes for this very text, somewhere, in any case: its letters that mean something escaped."""
    for sign in (_ESCAPE, "%", "_"):
        text = text.replace(sign, _ESCAPE + sign)
    return f"%{text}%"


def _conditions(told: Select[Any], filters: Collection[str]) -> list[ColumnElement[bool]]:
    """LIKE ignores the case of ASCII letters by itself, at half the price of lower()."""
    columns = told.selected_columns
    within = {
        "subject": (columns.subject,),
        "actor": (columns.actor,),
        "text": (columns.subject, columns.actor, columns.what),
    }
    return [
        or_(*(one.like(bindparam(name, type_=Text), escape=_ESCAPE) for one in within[name]))
        for name in filters
    ]


def _told(
    kind: str, at: Any, subject: ColumnElement[str], what: ColumnElement[str], actor: Any = None
) -> Select[Any]:
    return select(
        at.label("at"),
        literal(kind).label("kind"),
        subject.label("subject"),
        (null() if actor is None else type_coerce(actor, Text)).label("actor"),
        type_coerce(what, Text).label("what"),
    )


def _text(*parts: Any) -> ColumnElement[str]:
    """Columns and texts, one after the other; nothing for what is not there."""
    whole: ColumnElement[str] = literal("", Text)
    for part in parts:
        value = literal(part, Text) if isinstance(part, str) else func.coalesce(part, "")
        whole = whole.op("||")(type_coerce(value, Text))
    return whole


def _numbered(table: Any) -> ColumnElement[str]:
    return _text(table.c.task, "@", table.c.version)


def _experts() -> Select[Any]:
    c = schema.experts.c
    what = _text(
        "frozen: ", c.adapter, ", ", c.parameters, " parameters, digest ", func.substr(c.sha256, 1, 12),
        ", from data@", c.dataset, " by run ", c.run,
    )  # fmt: skip
    return _told("expert", c.created_at, _numbered(schema.experts), what)


def _generations() -> Select[Any]:
    c = schema.generations.c
    what = _text("frozen: ", c.router, ", root ", func.substr(c.root, 1, 12), ", by run ", c.run)
    return _told("generation", c.created_at, _text(f"{ROUTER}@", c.number), what)


def _datasets() -> Select[Any]:
    c = schema.datasets.c
    what = _text("stored from ", c.source, ", digest ", func.substr(c.sha256, 1, 12))
    return _told("dataset", c.created_at, _text(c.task, "/data@", c.version), what)


def _runs() -> Select[Any]:
    c = schema.runs.c
    what = _text(c.kind, " run ended: seed ", c.seed, ", ", func.round(c.seconds, 1), " s")
    return _told("run", c.finished_at, _text("run ", c.id), what)


def _moves() -> Select[Any]:
    c = schema.alias_events.c
    target = func.coalesce(c.target, "nothing")
    previous = func.coalesce(c.previous, "nothing")
    reason = func.coalesce(func.nullif(_text(": ", c.reason), ": "), "")
    what = _text(c.action, ": from ", previous, " to ", target, reason)
    return _told("alias", c.created_at, _text(c.subject, "@", c.name), what, c.actor)


def _retirements() -> Select[Any]:
    c = schema.retirements.c
    version = func.coalesce(_text("@") + type_coerce(c.version, Text), "")
    reason = func.coalesce(func.nullif(_text(": ", c.reason), ": "), "")
    what = _text(case((c.retired == 1, "retired"), else_="retired no more"), reason)
    return _told("retirement", c.created_at, _text(c.task, version), what, c.actor)


def _jobs_asked() -> Select[Any]:
    c = schema.jobs.c
    what = _text(c.kind, " asked for", func.coalesce(_text(" ") + c.task, ""))
    return _told("job", c.created_at, _text("job ", c.id), what, func.json_extract(c.params, "$.actor"))


def _jobs_ended() -> Select[Any]:
    c = schema.jobs.c
    error = func.coalesce(_text(": ") + func.json_extract(c.error, "$.message"), "")
    what = _text(c.kind, " ", c.state, " in attempt ", c.attempt, error)
    return _told("job ended", c.finished_at, _text("job ", c.id), what).where(c.finished_at.is_not(None))


_TOLD = {
    "alias": _moves,
    "dataset": _datasets,
    "expert": _experts,
    "generation": _generations,
    "job": _jobs_asked,
    "job ended": _jobs_ended,
    "retirement": _retirements,
    "run": _runs,
}
KINDS = tuple(_TOLD)
