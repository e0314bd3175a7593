"""The shape of the tree: which way imports point, how large files are, where the names of kinds may stand."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
LAYERS = {
    "registry": {"registry", "migrations"},
    "migrations": {"registry"},
    "trainer": {"registry", "trainer"},
    "ui": {"registry", "trainer", "ui"},
}
FORBIDDEN = {
    "registry": {"torch", "transformers", "gradio", "click", "rich"},
    "migrations": {"torch", "transformers", "gradio", "click", "rich"},
    "trainer": {"gradio", "click", "rich", "sqlalchemy", "alembic", "sqlite3"},
    "ui": {"torch", "transformers", "safetensors", "numpy", "sqlalchemy", "alembic"},
}
LONGEST_FILE = 300


def modules(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


def name_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports_of(path: Path) -> Iterator[tuple[str, bool]]:
    """Every module that a file imports, also inside functions, and whether only type checkers see it."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    typing_only = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, id(node) in typing_only
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            assert node.module is not None
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                yield (full if full in EVERY_MODULE else node.module), id(node) in typing_only


EVERY_MODULE = {name_of(path): path for package in LAYERS for path in modules(package)}


@pytest.mark.parametrize("package", LAYERS)
def test_imports_point_down(package: str) -> None:
    for path in modules(package):
        for imported, _ in imports_of(path):
            top = imported.split(".")[0]
            assert top not in LAYERS or top in LAYERS[package], f"{path.name} imports {imported}"
            assert top not in FORBIDDEN[package], f"{path.name} imports {imported}"


def test_only_the_server_and_the_browser_app_know_how_pages_are_served() -> None:
    for path in modules("ui"):
        place = path.relative_to(ROOT / "ui").parts[0]
        for imported, _ in imports_of(path):
            top = imported.split(".")[0]
            assert top != "gradio" or place in ("browser", "server"), f"{path.name} imports {imported}"
            assert top not in ("fastapi", "starlette", "uvicorn") or place == "server", path.name
            assert top != "matplotlib" or place == "plots", f"{path.name} imports {imported}"


def test_migrations_know_of_the_registry_only_its_tables_and_how_to_connect() -> None:
    for path in modules("migrations"):
        known = {imported for imported, _ in imports_of(path) if imported.split(".")[0] == "registry"}
        assert known <= {"registry.schema", "registry.frozen", "registry.sqlite"}, f"{path.name}: {known}"


def test_there_are_no_import_cycles_not_even_inside_functions() -> None:
    graph = {
        name: {
            imported
            for imported, typing_only in imports_of(path)
            if imported in EVERY_MODULE and not typing_only and imported != name
        }
        for name, path in EVERY_MODULE.items()
    }
    finished: set[str] = set()

    def visit(name: str, trail: tuple[str, ...]) -> None:
        assert name not in trail, " -> ".join((*trail[trail.index(name) :], name))
        if name not in finished:
            for imported in sorted(graph[name]):
                visit(imported, (*trail, name))
            finished.add(name)

    for name in graph:
        visit(name, ())


@pytest.mark.parametrize("name", sorted(EVERY_MODULE))
def test_no_file_is_longer_than_300_lines(name: str) -> None:
    assert len(EVERY_MODULE[name].read_text(encoding="utf-8").splitlines()) <= LONGEST_FILE


@pytest.mark.parametrize("family", ["adapters", "routers", "tasks"])
def test_no_code_asks_which_kind_it_has(family: str) -> None:
    """Elsewhere the name of a kind is a default or documentation, never part of a comparison."""
    kinds = {path.stem for path in (ROOT / "trainer" / family).glob("*.py")} - {"__init__"}
    for name, path in EVERY_MODULE.items():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Compare | ast.MatchValue):
                continue
            asked = {str(inner.value) for inner in ast.walk(node) if isinstance(inner, ast.Constant)} & kinds
            assert not asked, f"{name} line {node.lineno} asks for {asked}"


def test_nothing_swallows_every_exception() -> None:
    """A handler of everything may clean up, if it then lets the error go on."""
    for name, path in EVERY_MODULE.items():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ExceptHandler):
                caught = "" if node.type is None else ast.unparse(node.type)
                goes_on = ast.unparse(node.body[-1]) == "raise"
                assert goes_on or caught not in ("", "Exception", "BaseException"), f"{name} {node.lineno}"


def loaded_by(statement: str) -> set[str]:
    """Top-level modules that a fresh interpreter has loaded after `statement`."""
    script = f"import sys\n{statement}\nprint(*{{m.split('.')[0] for m in sys.modules}})"
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    return set(done.stdout.split())


def test_importing_the_registry_loads_neither_torch_nor_gradio() -> None:
    assert not loaded_by("import registry") & {"torch", "gradio", "transformers", "click", "rich"}


def test_importing_the_command_line_loads_nothing_heavy() -> None:
    heavy = {"torch", "sqlalchemy", "alembic", "gradio", "fastapi", "uvicorn", "matplotlib", "transformers"}
    heavy |= {"numpy", "rich"}
    assert not loaded_by("import ui.cli") & heavy
