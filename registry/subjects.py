"""What can be promoted, measured and traced: an expert or a generation, by name."""

from sqlalchemy import Connection

from registry import experts, generations
from registry.names import ROUTER, parse
from registry.records import Expert, Generation


def get(connection: Connection, ref: str) -> Expert | Generation:
    """The expert or generation that `ref` names."""
    reference = parse(ref)
    if reference.subject == ROUTER:
        return generations.resolve(connection, reference)
    return experts.resolve(connection, reference)


def number(subject: Expert | Generation) -> int:
    """What stands behind the @ of its full name."""
    return subject.version if isinstance(subject, Expert) else subject.number
