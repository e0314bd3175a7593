"""The documents say what is true: every command, error, table and kind is in them, and their examples run."""

import re
import shlex
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from registry import errors, schema
from trainer import kinds
from ui.cli import cli
from ui.group import GATE_REFUSED

ROOT = Path(__file__).parent.parent
DOCUMENTS = sorted([ROOT / "README.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").rglob("*.md")])
COMMON = {"--help", "--debug", "--json", "--home"}


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def section(document: str, heading: str) -> str:
    """The text under a heading of the second level, up to the next one."""
    found = re.search(rf"^## {re.escape(heading)}\n(.*?)(?=^## |\Z)", document, re.MULTILINE | re.DOTALL)
    assert found is not None, f"no section {heading!r}"
    return found[1]


def blocks(document: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", document, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("name", sorted(cli.commands))
def test_every_command_and_option_is_documented(name: str) -> None:
    text = section(read("docs/cli.md"), f"registry {name}")
    command = cli.commands[name]
    under = command.commands if isinstance(command, click.Group) else {}
    for each in under:
        assert f"`registry {name} {each}" in text
    for parameter in [given for one in (command, *under.values()) for given in one.params]:
        if isinstance(parameter, click.Option):
            for option in set(parameter.opts) - COMMON:
                assert re.search(rf"`[^`]*{option}\b", text), (
                    f"registry {name} {option} is not in docs/cli.md"
                )


def test_no_command_is_documented_that_does_not_exist() -> None:
    documented = re.findall(r"^## registry (\S+)", read("docs/cli.md"), re.MULTILINE)
    assert sorted(documented) == sorted(cli.commands)


@pytest.mark.parametrize("option", sorted(COMMON))
def test_the_common_options_are_documented(option: str) -> None:
    assert option in section(read("docs/cli.md"), "What holds for every command")


def test_every_error_is_documented_with_its_exit_code() -> None:
    text = section(read("docs/cli.md"), "What holds for every command")
    kinds_of_error = [e for e in vars(errors).values() if isinstance(e, type) and issubclass(e, Exception)]
    for kind in kinds_of_error:
        assert f"`{kind.__name__}`" in text


def test_every_table_and_column_is_documented() -> None:
    text = read("docs/schema.md")
    for table in schema.metadata.tables.values():
        assert f"`{table.name}`" in text
        for column in table.columns:
            assert f"`{column.name}`" in text, f"{table.name}.{column.name}"


@pytest.mark.parametrize("family", kinds.FAMILIES)
def test_every_kind_is_documented(family: str) -> None:
    for name in kinds.names(family):
        assert f"`{name}`" in read("docs/adding-a-kind.md")


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_between_documents_lead_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", path.read_text(encoding="utf-8")):
        if not target.startswith("http"):
            assert (path.parent / target).exists(), target


def test_the_python_of_the_documents_runs() -> None:
    for path in (ROOT / "docs").rglob("*.md"):
        for block in blocks(path.read_text(encoding="utf-8"), "python"):
            exec(compile(block, str(path), "exec"), {})


def test_the_readme_is_short_and_its_make_targets_exist() -> None:
    readme = read("README.md")
    assert len(readme.splitlines()) <= 200
    targets = set(re.findall(r"^([a-z]+):", read("Makefile"), re.MULTILINE))
    assert set(re.findall(r"(?:^|`)make ([a-z]+)", readme, re.MULTILINE)) <= targets


def test_the_shell_and_python_of_the_readme_run(
    tmp_path: Path, tiny_llama_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the README's own order, in one home, with the tiny model where the default base model would be."""
    monkeypatch.setenv("REGISTRY_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("REGISTRY_BASE_MODEL", str(tiny_llama_folder))
    monkeypatch.setenv("REGISTRY_EXECUTOR", "thread")
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    monkeypatch.chdir(tmp_path)
    readme = read("README.md")
    for line in "".join(blocks(readme, "sh")).splitlines():
        command, *arguments = shlex.split(line, comments=True) or [""]
        if command == "registry":
            result = CliRunner().invoke(cli, arguments)
            # Experts of a tiny random model answer by chance: the gate may refuse who asks the right ones.
            good = (0, GATE_REFUSED) if arguments[0] == "retrain-router" else (0,)
            assert result.exit_code in good, f"{line}: {result.output}"
        else:
            assert command in ("make", ""), f"nothing runs {line!r}"
    for block in blocks(readme, "python"):
        code = block.replace("Registry()", f"Registry({str(tmp_path / 'home')!r})")
        exec(compile(code, "README.md", "exec"), {})
