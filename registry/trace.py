"""Reads the lineage of an expert or a generation from the database."""

from typing import Any

from sqlalchemy import Connection, Row, Select, Text, cast, func, select

from registry import aliases, base_models, combinations, pairs, retirements, runs, schema, subjects
from registry.lineage import (
    CHOOSES,
    COMBINED,
    FOLLOWS,
    MADE_BY,
    RUNS_ON,
    STANDS_FOR,
    TRAINED_ON,
    Edge,
    Lineage,
    Node,
)
from registry.names import ROUTER, parse
from registry.records import Expert, Generation


class _Graph:
    """A lineage in the making; a thing that is met twice is one node."""

    def __init__(self, retired: retirements.Retired) -> None:
        self.retired = retired
        self.nodes: dict[str, Node] = {}
        self.edges: list[Edge] = []

    def node(self, id: str, kind: str, note: str, label: str | None = None) -> None:
        self.nodes.setdefault(id, Node(id=id, kind=kind, label=label or id, note=note))

    def edge(self, source: str, relation: str, target: str) -> None:
        self.edges.append(Edge(source=source, target=target, relation=relation))


def lineage(connection: Connection, ref: str) -> Lineage:
    """The lineage of what `ref` names: an expert or a generation."""
    graph = _Graph(retirements.standing(connection))
    subject = subjects.get(connection, ref)
    if isinstance(subject, Expert):
        _expert(connection, graph, subject)
    else:
        _generation(connection, graph, subject)
    _aliases(connection, graph)
    return Lineage(root=subject.name, nodes=tuple(graph.nodes.values()), edges=tuple(graph.edges))


def _expert(connection: Connection, graph: _Graph, expert: Expert) -> None:
    table = schema.experts
    wanted = _described().where(table.c.task == expert.task, table.c.version <= expert.version)
    itself, *earlier = connection.execute(wanted.order_by(table.c.version.desc())).all()
    _expert_node(graph, itself)
    for version in (itself, *earlier):
        _dataset(graph, version)
    _parts(connection, graph, expert.name)
    _run_and_base(connection, graph, expert)
    for version in earlier:
        _expert_node(graph, version)
        graph.edge(f"{expert.task}@{version.version + 1}", FOLLOWS, version.name)
    children = combinations.uses(connection, expert.task, expert.version)
    for child in _named(connection, children):
        _expert_node(graph, child)
        graph.edge(child.name, COMBINED, expert.name)
    slot = schema.slots
    users = (
        _sized()
        .join(slot, slot.c.generation == schema.generations.c.number)
        .where(slot.c.task == expert.task, slot.c.version == expert.version)
    )
    for row in connection.execute(users):
        graph.edge(_generation_node(graph, row), CHOOSES, expert.name)


def _generation(connection: Connection, graph: _Graph, generation: Generation) -> None:
    table, slot = schema.experts, schema.slots
    these = {generation.number, generation.parent or generation.number}
    sized = connection.execute(_sized().where(schema.generations.c.number.in_(these))).all()
    _generation_node(graph, sized[-1])
    chosen = (slot.c.task == table.c.task) & (slot.c.version == table.c.version)
    wanted = _described().join(slot, chosen).where(slot.c.generation == generation.number)
    members = connection.execute(wanted.order_by(slot.c.slot)).all()
    for expert in members:
        _expert_node(graph, expert)
        graph.edge(generation.name, CHOOSES, expert.name)
    for expert in members:
        _dataset(graph, expert)
    _run_and_base(connection, graph, generation)
    for parent in sized[:-1]:
        graph.edge(generation.name, FOLLOWS, _generation_node(graph, parent))


def _parts(connection: Connection, graph: _Graph, name: str) -> None:
    """What an expert was combined from, and what those were, if they were combined too."""
    reference = parse(name)
    weights = combinations.parts(connection, reference.subject, reference.version or 0)
    for part in _named(connection, list(weights)):
        known = part.name in graph.nodes
        _expert_node(graph, part)
        graph.edge(name, COMBINED, part.name)
        if not known:
            _dataset(graph, part)
            _parts(connection, graph, part.name)


def _named(connection: Connection, names: list[str]) -> list[Row[Any]]:
    """Some experts as `_described` has them, in the order of their names given."""
    wanted = pairs.table((one.subject, one.version or 0) for one in map(parse, names))
    table = schema.experts
    rows = connection.execute(
        _described().join(wanted, (table.c.task == wanted.c.task) & (table.c.version == wanted.c.number))
    )
    found = {row.name: row for row in rows}
    return [found[name] for name in names]


def _described() -> Select[Any]:
    """Of an expert, what its box says and what the box of its rows says: a generation may have hundreds."""
    table, rows = schema.experts, schema.datasets
    return select(
        (table.c.task + "@" + cast(table.c.version, Text)).label("name"),
        *(table.c[name] for name in ("task", "version", "adapter", "parameters", "sha256", "dataset")),
        rows.c.rows.label("counts"),
    ).join(rows, (rows.c.task == table.c.task) & (rows.c.version == table.c.dataset))


def _sized() -> Select[Any]:
    """Of a generation, what its box says; by number."""
    table, slots = schema.generations, schema.slots.alias()
    # Slots are numbered from 0, so that the last tells how many there are without counting them.
    last = select(func.max(slots.c.slot)).where(slots.c.generation == table.c.number).scalar_subquery()
    return select(table.c.number, table.c.router, table.c.root, (last + 1).label("size")).order_by(
        table.c.number
    )


def _dataset(graph: _Graph, expert: Row[Any]) -> None:
    name = f"{expert.task}/data@{expert.dataset}"
    graph.node(name, "dataset", _counts(expert.counts))
    graph.edge(expert.name, TRAINED_ON, name)


def _run_and_base(connection: Connection, graph: _Graph, made: Expert | Generation) -> None:
    run = runs.get(connection, made.run)
    graph.node(f"run {run.id}", "run", f"seed {run.seed}, {run.seconds:.1f} s")
    graph.edge(made.name, MADE_BY, f"run {run.id}")
    corpus = run.settings.get("corpus")
    if corpus is not None:
        name = f"run {run.id}/corpus"
        source = "".join(sign if sign.isprintable() else "\ufffd" for sign in corpus["source"])
        graph.node(name, "corpus", f"{_counts(corpus['rows'])}, {corpus['sha256'][:12]}", source)
        graph.edge(made.name, TRAINED_ON, name)
    base = base_models.get(connection, made.base_model)
    note = f"{base.architecture}, {base.layers} layers, {base.fingerprint[:12]}"
    graph.node(base.fingerprint, "base_model", note, base.name)
    graph.edge(made.name, RUNS_ON, base.fingerprint)


def _aliases(connection: Connection, graph: _Graph) -> None:
    for alias in aliases.every(connection):
        if alias.target in graph.nodes:
            graph.node(alias.ref, "alias", "")
            graph.edge(alias.ref, STANDS_FOR, alias.target)


def _expert_node(graph: _Graph, expert: Row[Any]) -> None:
    note = f"{expert.adapter}, {expert.parameters:,} parameters, {expert.sha256[:12]}"
    if graph.retired.of(expert.name) is not None:
        note += ", retired"
    graph.node(expert.name, "expert", note)


def _generation_node(graph: _Graph, row: Row[Any]) -> str:
    name = f"{ROUTER}@{row.number}"
    graph.node(name, "generation", f"{row.router}, {row.size} expert{'s' * (row.size != 1)}, {row.root[:12]}")
    return name


def _counts(rows: dict[str, int]) -> str:
    splits = ("train", "validation", "test")
    return ", ".join(f"{rows[split]:,} {split}" for split in splits if rows.get(split)) + " rows"
