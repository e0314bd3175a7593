"""The ground under every command: common options, and the one place where an error becomes a line and a code.

Exit codes: 0 ok, 1 error, 2 usage, 3 not found, 4 conflict, 5 data refused, 6 gate refused, 130 interrupted.

Nothing heavy is imported at the top of this module, so that `registry --help` is quick.
"""

import json
import math
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import click

from registry import errors

if TYPE_CHECKING:
    from types import TracebackType

    from registry import Registry

P = ParamSpec("P")
R = TypeVar("R")

EXIT_CODES: dict[type[errors.RegistryError], int] = {
    errors.InvalidSettingError: 2,
    errors.NotFoundError: 3,
    errors.ConflictError: 4,
    errors.DataRefusedError: 5,
}
"""Of every other error of the registry: 1."""

GATE_REFUSED = 6
"""A new generation is a candidate only, since tasks lose by it; that is no error of the registry."""

INTERRUPTED = 130


@dataclass(slots=True)
class Session:
    """What the common options of one invocation said."""

    home: Path | None = field(default_factory=lambda: _path_in("REGISTRY_HOME"))
    """Directory of the registry; None for the platform's user data directory."""
    json: bool = False
    """Print JSON for programs instead of text for people."""

    def open(self) -> "Registry":
        """The registry at `home`, created when it does not exist yet."""
        from registry import Registry

        return Registry(self.home)

    def print_json(self, value: object) -> None:
        """Write `value` as JSON to stdout; times become ISO 8601."""
        click.echo(as_json(value))


def _path_in(variable: str) -> Path | None:
    given = os.environ.get(variable)
    return Path(given) if given else None


def as_json(value: object, *, indent: int | None = 2) -> str:
    """`value` as JSON text; non-ASCII characters stay as they are, times become ISO 8601."""
    return json.dumps(value, indent=indent, ensure_ascii=False, allow_nan=False, default=_plain)


def _plain(value: object) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")


pass_session = click.make_pass_decorator(Session, ensure=True)


def common_options(command: Callable[P, R]) -> Callable[P, R]:
    """Add --home, --json and --debug, which mean the same before and after a command's name."""

    def keep(context: click.Context, option: click.Parameter, value: Any) -> None:
        # A subcommand that does not repeat an option must not undo what stood before its name.
        if value is not None and option.name is not None:
            setattr(context.find_root().ensure_object(Session), option.name, value)

    for option in (
        click.option(
            "--debug", is_flag=True, expose_value=False, help="Show the Python traceback of an error."
        ),
        click.option(
            "--json", is_flag=True, default=None, expose_value=False, callback=keep, help="Print JSON."
        ),
        click.option(
            "--home",
            type=click.Path(path_type=Path, file_okay=False),
            expose_value=False,
            callback=keep,
            help="Directory of the registry [env: REGISTRY_HOME; default: the user's data directory].",
        ),
    ):
        command = option(command)
    return command


def page_options(example: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Adds --limit and --after, for lists that may be long; `example` is a name of what is listed."""

    def add(command: Callable[P, R]) -> Callable[P, R]:
        after = click.option(
            "--after", metavar="NAME", help=f"What comes after this one, such as {example}: the next page."
        )
        limit = click.option(
            "--limit", type=click.IntRange(min=1), help="A page of at most so many [default: all]."
        )
        return limit(after(command))

    return add


class Finite(click.FloatRange):
    """A number in a range: NaN and infinity, which Python reads as numbers too, are in none."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The number, or a usage error."""
        number = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value!r} is not a finite number", param, ctx)
        return number


def exit_code(error: errors.RegistryError) -> int:
    """The documented exit code of an error of the registry."""
    return next((code for kind, code in EXIT_CODES.items() if isinstance(error, kind)), 1)


def _usage(error: click.ClickException) -> str:
    context = error.ctx if isinstance(error, click.UsageError) else None
    where = f" See: {context.command_path} --help" if context is not None else ""
    message = error.format_message()
    return message + ("" if message.endswith((".", "?", ")")) else ".") + where


def _tell(message: str) -> None:
    """One line on stderr, whatever the message holds."""
    click.echo("Error: " + " ".join(message.split()), err=True)


class OneLineErrors(click.Command):
    """A command that turns every error into one line on stderr and one exit code."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command, and flush where click is quiet about a reader that went away."""
        result = super().invoke(ctx)
        sys.stdout.flush()
        return result

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        **extra: Any,
    ) -> Any:
        """Run a command line and exit with its code; with `standalone_mode=False`, let errors through."""
        given = list(sys.argv[1:] if args is None else args)
        if not standalone_mode:
            return super().main(given, prog_name, complete_var, False, **extra)
        debug = "--debug" in given
        try:
            result = super().main(given, prog_name, complete_var, False, **extra)
        except click.Abort:
            _tell("Interrupted: nothing is half-made; run the same command again to go on.")
            sys.exit(INTERRUPTED)
        except click.ClickException as error:
            _explain(debug)
            _tell(_usage(error))
            sys.exit(error.exit_code)
        except errors.RegistryError as error:
            _explain(debug)
            _tell(str(error))
            sys.exit(exit_code(error))
        except OSError as error:
            _explain(debug)
            _tell(str(error))
            sys.exit(1)
        sys.exit(result if isinstance(result, int) else 0)


class RegistryGroup(OneLineErrors, click.Group):
    """A group of commands with one line and one exit code for every error of any of them."""


def _explain(debug: bool) -> None:
    if debug:
        traceback.print_exc()


def tell_of_defect(kind: type[BaseException], error: BaseException, trace: "TracebackType | None") -> None:
    """Excepthook for what nobody foresaw: still one line, with the traceback under --debug."""
    if "--debug" in sys.argv:
        traceback.print_exception(kind, error, trace)
    _tell(f"{kind.__name__}: {error}. This is a defect of the program; --debug shows where.")
