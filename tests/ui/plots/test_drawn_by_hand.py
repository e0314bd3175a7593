"""Pictures that are written as SVG: heat maps and lineages."""

import re
from xml.etree import ElementTree

from registry import Registry
from registry.lineage import Edge, Lineage, Node
from tests.registry.samples import add_expert, add_generation
from ui.plots import calibration, confusion, lineage, matrix, timeline
from ui.plots.markup import document, text
from ui.views.lineage import links

SVG = "{http://www.w3.org/2000/svg}"
HOSTILE = "</text><script>alert(1)</script>\x00\ud800 $x$ & \"'"


def parsed(picture: bytes) -> ElementTree.Element:
    return ElementTree.fromstring(picture.decode("utf-8"))


def texts(picture: bytes) -> list[str]:
    return [one.text or "" for one in parsed(picture).iter(f"{SVG}text")]


def test_whatever_a_text_holds_is_text() -> None:
    root = parsed(document(10, 10, [text(HOSTILE, 0, 0)], HOSTILE))
    assert [one.tag for one in root.iter()] == [f"{SVG}{name}" for name in ("svg", "title", "style", "text")]
    shown = root.find(f"{SVG}text")
    assert shown is not None
    assert (
        shown.text
        == "</text><script>alert(1)</script>\N{REPLACEMENT CHARACTER}\N{REPLACEMENT CHARACTER} $x$ & \"'"
    )


def test_a_confusion_matrix_shows_counts_and_leaves_zeros_out() -> None:
    drawn = confusion.draw(
        {
            "generation": "router@2",
            "split": "test",
            "tasks": ["sst2", "trec"],
            "all_tasks": 3,
            "rows": [[30, 10], [0, 1200]],
            "elsewhere": [0, 0],
        }
    )
    found = texts(drawn)
    assert found[0] == "router@2, test rows (1 more tasks not shown)"
    assert [one for one in found if one.replace(",", "").isdigit()] == ["30", "10", "1,200"]
    assert found.count("sst2") == found.count("trec") == 2


def test_a_matrix_has_no_field_where_a_task_was_not_there_yet() -> None:
    drawn = matrix.draw(
        {
            "metric": "routed_accuracy",
            "tasks": ["sst2", "trec"],
            "generations": [7, 8],
            "values": [[0.8, 0.745], [None, 1.0]],
        }
    )
    assert len(list(parsed(drawn).iter(f"{SVG}rect"))) == 3
    assert {"80", "74", "100", "7", "8"} < set(texts(drawn))


def test_a_lineage_leads_from_box_to_box(registry: Registry) -> None:
    add_expert(registry, "sst2", number=1)
    add_generation(registry, "sst2@1")
    registry.promote("router@1")
    root = parsed(lineage.svg(registry.lineage("sst2@1"), links("sst2@1")))
    assert sorted(one.attrib["href"] for one in root.iter(f"{SVG}a")) == [
        "/?tab=experts&name=sst2@1",
        "/?tab=lineage&name=sst2@1&box=" + registry.base_models()[0].fingerprint,
        "/?tab=lineage&name=sst2@1&box=run+1",
        "/?tab=lineage&name=sst2@1&box=sst2/data@1",
        "/?tab=router&name=router@1",
        "/?tab=router&name=router@production",
    ]
    assert len(list(root.iter(f"{SVG}path"))) == len(registry.lineage("sst2@1").edges)


def test_no_arrow_of_a_lineage_runs_through_a_box() -> None:
    """The expert is used by both generations, of which one follows the other: an arrow has to pass by."""
    nodes = [
        Node(id=name, kind=kind, label=name, note="")
        for name, kind in (("sst2@1", "expert"), ("router@1", "generation"), ("router@2", "generation"))
    ]
    edges = [
        Edge(source="router@1", target="sst2@1", relation="chooses among"),
        Edge(source="router@2", target="sst2@1", relation="chooses among"),
        Edge(source="router@2", target="router@1", relation="follows"),
    ]
    root = parsed(lineage.svg(Lineage(root="sst2@1", nodes=tuple(nodes), edges=tuple(edges))))
    boxes = [
        tuple(float(one.attrib[name]) for name in ("x", "y", "width", "height"))
        for one in root.iter(f"{SVG}rect")
    ]
    straight = [
        (float(path.group(1)), float(path.group(2)), float(path.group(3)))
        for one in root.iter(f"{SVG}path")
        if (path := re.search(r" (\d+) (\d+)H(\d+)", one.attrib["d"]))
    ]
    assert len(straight) == 1
    for start, height, end in straight:
        passed = [box for box in boxes if box[0] < end and box[0] + box[2] > start]
        assert len(passed) == 1
        assert all(not y <= height <= y + high for _, y, _, high in passed)


def test_a_lineage_of_hundreds_counts_what_it_leaves_out() -> None:
    nodes = [Node(id="sst2@1", kind="expert", label="sst2@1", note="")]
    nodes += [
        Node(id=f"router@{number}", kind="generation", label=f"router@{number}", note="")
        for number in range(1, 201)
    ]
    edges = [
        Edge(source=f"router@{number}", target="sst2@1", relation="chooses among") for number in range(1, 201)
    ]
    shown = texts(lineage.svg(Lineage(root="sst2@1", nodes=tuple(nodes), edges=tuple(edges))))
    assert "router@200" in shown
    assert "router@2" not in shown
    assert f"and {200 - lineage.COLUMN:,} earlier ones" in shown


def test_timelines_and_reliability_diagrams_are_pictures_also_of_nothing() -> None:
    points = [{"generation": 1, "routed_accuracy": 0.5}, {"generation": 2, "routing_accuracy": 1.0}]
    assert "generation" in texts(timeline.draw(points, "sst2 $x$"))
    assert "sst2 $x$" in texts(timeline.draw([], "sst2 $x$"))
    bins = [{"from": 0.9, "rows": 34, "weight": 0.95, "right": 1.0}]
    assert "34" in texts(calibration.draw({"generation": "router@2", "bins": bins}))
    assert "router@2" not in texts(calibration.draw({"generation": "router@2", "bins": []}))


def test_pictures_say_in_words_what_they_show() -> None:
    points = [{"generation": 1, "routed_accuracy": 0.5}, {"generation": 7, "routed_accuracy": 0.75}]
    assert timeline.said(points, "sst2") == (
        "Test rows of sst2 over the generations; "
        "answered rightly, routed: 50.0% in generation 1, 75.0% in generation 7."
    )
    bins = [{"from": 0.9, "rows": 34, "weight": 0.95, "right": 1.0}]
    assert calibration.said({"generation": "router@2", "bins": bins}) == (
        "How often router@2 is right when it is so sure: "
        "34 rows of weight 95.0% on average, 100.0% sent right."
    )
    tasks = [f"task{number}" for number in range(12)]
    grown = {"metric": "routed_accuracy", "tasks": tasks, "values": [[None, 0.5]] * 12}
    assert matrix.said(grown) == (
        "routed accuracy by task and generation; in the newest: "
        + ", ".join(f"{task} 50%" for task in tasks[:10])
        + " and 2 more tasks."
    )


def test_pictures_are_dark_on_light_ground_and_light_on_dark() -> None:
    for drawn in (timeline.draw([], "all"), document(10, 10, [text("a", 0, 0)], "a")):
        assert b"light-dark(" in drawn
        assert b"currentColor" in drawn
        assert b"#818283" not in drawn


def test_equal_documents_give_equal_pictures() -> None:
    points = [{"generation": 1, "routed_accuracy": 0.5}]
    assert timeline.draw(points, "all") == timeline.draw(points, "all")
