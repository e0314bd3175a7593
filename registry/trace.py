"""Reads the lineage of an expert or a generation from the database."""

from collections.abc import Sequence

from sqlalchemy import ColumnElement, Connection, func, select

from registry import aliases, base_models, generations, retirements, runs, schema, subjects
from registry.lineage import (
    CHOOSES,
    FOLLOWS,
    MADE_BY,
    RUNS_ON,
    STANDS_FOR,
    TRAINED_ON,
    Edge,
    Lineage,
    Node,
)
from registry.names import ROUTER
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
    _expert_node(graph, expert)
    table = schema.experts
    wanted = select(table).where(table.c.task == expert.task, table.c.version < expert.version)
    earlier = [Expert(**row._mapping) for row in connection.execute(wanted.order_by(table.c.version.desc()))]
    _datasets(connection, graph, [expert, *earlier], schema.datasets.c.task == expert.task)
    _run_and_base(connection, graph, expert)
    for version in earlier:
        _expert_node(graph, version)
        graph.edge(f"{expert.task}@{version.version + 1}", FOLLOWS, version.name)
    generation, slot, other = schema.generations, schema.slots, schema.slots.alias()
    size = select(func.count()).where(other.c.generation == generation.c.number).scalar_subquery()
    users = (
        select(generation.c.number, generation.c.router, generation.c.root, size.label("size"))
        .join(slot, slot.c.generation == generation.c.number)
        .where(slot.c.task == expert.task, slot.c.version == expert.version)
        .order_by(generation.c.number)
    )
    for row in connection.execute(users):
        name = f"{ROUTER}@{row.number}"
        _generation_node(graph, name, row.router, row.size, row.root)
        graph.edge(name, CHOOSES, expert.name)


def _generation(connection: Connection, graph: _Graph, generation: Generation) -> None:
    _generation_node(graph, generation.name, generation.router, len(generation.experts), generation.root)
    table, slot = schema.experts, schema.slots
    chosen = (slot.c.task == table.c.task) & (slot.c.version == table.c.version)
    wanted = select(table).join(slot, chosen).where(slot.c.generation == generation.number)
    members = [Expert(**row._mapping) for row in connection.execute(wanted.order_by(slot.c.slot))]
    for expert in members:
        _expert_node(graph, expert)
        graph.edge(generation.name, CHOOSES, expert.name)
    tasks = select(slot.c.task).where(slot.c.generation == generation.number)
    _datasets(connection, graph, members, schema.datasets.c.task.in_(tasks))
    _run_and_base(connection, graph, generation)
    if generation.parent is not None:
        parent = generations.get(connection, generation.parent)
        _generation_node(graph, parent.name, parent.router, len(parent.experts), parent.root)
        graph.edge(generation.name, FOLLOWS, parent.name)


def _datasets(
    connection: Connection, graph: _Graph, members: Sequence[Expert], of: ColumnElement[bool]
) -> None:
    rows = connection.execute(select(schema.datasets).where(of))
    notes = {(row.task, row.version): _counts(row._mapping["rows"]) for row in rows}
    for expert in members:
        name = f"{expert.task}/data@{expert.dataset}"
        graph.node(name, "dataset", notes[expert.task, expert.dataset])
        graph.edge(expert.name, TRAINED_ON, name)


def _run_and_base(connection: Connection, graph: _Graph, made: Expert | Generation) -> None:
    run = runs.get(connection, made.run)
    graph.node(f"run {run.id}", "run", f"seed {run.seed}, {run.seconds:.1f} s")
    graph.edge(made.name, MADE_BY, f"run {run.id}")
    base = base_models.get(connection, made.base_model)
    note = f"{base.architecture}, {base.layers} layers, {base.fingerprint[:12]}"
    graph.node(base.fingerprint, "base_model", note, base.name)
    graph.edge(made.name, RUNS_ON, base.fingerprint)


def _aliases(connection: Connection, graph: _Graph) -> None:
    for alias in aliases.every(connection):
        if alias.target in graph.nodes:
            graph.node(alias.ref, "alias", "")
            graph.edge(alias.ref, STANDS_FOR, alias.target)


def _expert_node(graph: _Graph, expert: Expert) -> None:
    note = f"{expert.adapter}, {expert.parameters:,} parameters, {expert.sha256[:12]}"
    if graph.retired.of(expert.name) is not None:
        note += ", retired"
    graph.node(expert.name, "expert", note)


def _generation_node(graph: _Graph, name: str, router: str, size: int, root: str) -> None:
    graph.node(name, "generation", f"{router}, {size} expert{'s' * (size != 1)}, {root[:12]}")


def _counts(rows: dict[str, int]) -> str:
    splits = ("train", "validation", "test")
    return ", ".join(f"{rows[split]:,} {split}" for split in splits if rows.get(split)) + " rows"
