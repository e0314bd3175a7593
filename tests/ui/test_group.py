"""Errors of every sort end as one line on stderr and a documented exit code."""

import errno

import click
import pytest
from click.testing import CliRunner

from registry import errors
from ui.cli import cli
from ui.group import RegistryGroup, common_options


def failing(error: BaseException) -> click.Group:
    @click.group(cls=RegistryGroup)
    def group() -> None: ...

    @group.command("fail")
    @common_options
    def fail() -> None:
        raise error

    return group


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.RegistryError("it failed"), 1),
        (errors.InvalidSettingError("it failed"), 2),
        (errors.NotFoundError("it failed"), 3),
        (errors.ConflictError("it failed"), 4),
        (errors.DataRefusedError("it failed"), 5),
        (errors.DamagedError("it failed"), 1),
        (errors.StorageError("it failed"), 1),
        (errors.SchemaError("it failed"), 1),
        (OSError("it failed"), 1),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else str(value),
)
def test_every_error_has_its_exit_code(error: Exception, code: int) -> None:
    result = CliRunner().invoke(failing(error), ["fail"])
    assert (result.exit_code, result.stdout, result.stderr) == (code, "", "Error: it failed\n")


def test_an_interruption_is_130_and_says_how_to_go_on() -> None:
    result = CliRunner().invoke(failing(KeyboardInterrupt()), ["fail"])
    assert result.exit_code == 130
    assert result.stderr.strip() == (
        "Error: Interrupted: nothing is half-made; run the same command again to go on."
    )


def test_a_reader_that_goes_away_is_no_news() -> None:
    result = CliRunner().invoke(failing(BrokenPipeError(errno.EPIPE, "Broken pipe")), ["fail"])
    assert (result.exit_code, result.stderr) == (1, "")


def test_a_message_of_several_lines_becomes_one() -> None:
    result = CliRunner().invoke(failing(errors.RegistryError("first\n  second")), ["fail"])
    assert result.stderr == "Error: first second\n"


@pytest.mark.parametrize("arguments", [["--debug", "fail"], ["fail", "--debug"]], ids=["before", "after"])
def test_debug_shows_the_traceback(arguments: list[str]) -> None:
    group = common_options(failing(errors.NotFoundError("it failed")))
    result = CliRunner().invoke(group, arguments)
    assert result.exit_code == 3
    assert result.stderr.startswith("Traceback")
    assert result.stderr.endswith("Error: it failed\n")


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["expert"], "No such command 'expert'. Did you mean 'experts'? See: registry --help"),
        (["tasks", "--jsn"], "No such option '--jsn'. Did you mean '--json'? See: registry tasks --help"),
        (["add-task"], "Missing option '--data'. See: registry add-task --help"),
        (["diff", "a"], "Missing argument 'B'. See: registry diff --help"),
        (
            ["predict"],
            "give either texts, a single - for stdin, or --data FILE. See: registry predict --help",
        ),
        (
            ["predict", "a text", "--text", "column"],
            "--text and --text-pair name columns of --data. See: registry predict --help",
        ),
    ],
    ids=["command", "option", "missing option", "missing argument", "no text", "column without data"],
)
def test_wrong_usage_is_one_line_that_suggests_what_is_near(arguments: list[str], line: str) -> None:
    result = CliRunner().invoke(cli, arguments, prog_name="registry")
    assert (result.exit_code, result.stdout, result.stderr) == (2, "", f"Error: {line}\n")


def test_without_a_command_it_explains_itself() -> None:
    result = CliRunner().invoke(cli, [])
    assert result.exit_code == 0
    assert "registry add-task --data" in result.stdout
