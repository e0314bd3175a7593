"""Pictures that are written as SVG: heat maps and lineages."""

from xml.etree import ElementTree

from registry import Registry
from registry.lineage import Edge, Lineage, Node
from tests.registry.samples import add_expert, add_generation
from ui.plots import calibration, confusion, lineage, matrix, timeline
from ui.plots.markup import document, text
from ui.views.lineage import link

SVG = "{http://www.w3.org/2000/svg}"
HOSTILE = "</text><script>alert(1)</script>\x00\ud800 $x$ & \"'"


def parsed(picture: bytes) -> ElementTree.Element:
    return ElementTree.fromstring(picture.decode("utf-8"))


def texts(picture: bytes) -> list[str]:
    return [one.text or "" for one in parsed(picture).iter(f"{SVG}text")]


def test_whatever_a_text_holds_is_text() -> None:
    root = parsed(document(10, 10, [text(HOSTILE, 0, 0)], HOSTILE))
    assert [one.tag for one in root.iter()] == [f"{SVG}svg", f"{SVG}title", f"{SVG}text"]
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
    root = parsed(lineage.svg(registry.lineage("sst2@1"), link))
    assert sorted(one.attrib["href"] for one in root.iter(f"{SVG}a")) == [
        "/lineage/router@1.svg",
        "/lineage/router@production.svg",
        "/lineage/sst2@1.svg",
    ]
    assert len(list(root.iter(f"{SVG}path"))) == len(registry.lineage("sst2@1").edges)


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


def test_equal_documents_give_equal_pictures() -> None:
    points = [{"generation": 1, "routed_accuracy": 0.5}]
    assert timeline.draw(points, "all") == timeline.draw(points, "all")
