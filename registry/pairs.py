"""Many `(task, number)` pairs as a table, so that one statement looks them all up, however many there are."""

import json
from collections.abc import Iterable

from sqlalchemy import Subquery, func, select


def table(pairs: Iterable[tuple[str, int]]) -> Subquery:
    """A table of the columns `task` and `number`.

    As JSON, since SQLite takes a limited number of parameters.
    """
    each = func.json_each(json.dumps([list(pair) for pair in pairs])).table_valued("value")
    return select(
        func.json_extract(each.c.value, "$[0]").label("task"),
        func.json_extract(each.c.value, "$[1]").label("number"),
    ).subquery()
