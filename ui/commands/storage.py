"""`gc`, `fsck`, `backup` and `restore`: what keeps a home small, whole, and safe."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING

import click

from ui.group import Finite, Session, common_options, pass_session

if TYPE_CHECKING:
    from registry import Registry
    from registry.fsck import Report
    from registry.garbage import Collected


@contextmanager
def _existing(session: Session) -> Iterator["Registry"]:
    """The registry at the home, which must be there: an empty one would be a misspelt name."""
    from registry.errors import NotFoundError
    from ui.doctor import places

    where = places(session.home)
    if not where["database"].exists():
        raise NotFoundError(f"There is no registry in {where['home']}. Name its folder with --home.")
    with session.open() as registry:
        yield registry


@click.command("gc")
@click.option("--dry-run", is_flag=True, help="Only tell what would be removed.")
@click.option(
    "--grace",
    metavar="HOURS",
    type=Finite(min=0, max=1e6),
    default=24.0,
    show_default=True,
    help="Leave blobs that are younger.",
)
@common_options
@pass_session
def gc(session: Session, dry_run: bool, grace: float) -> None:
    """Remove what nothing refers to.

    Blobs left by crashes and replaced caches, half-written files, and checkpoints, cached states and logs
    that nobody took up for 30 days. Safe while others work. Experts, generations and rows are never
    removed."""
    from datetime import timedelta

    from registry import collect

    with _existing(session) as registry:
        found = collect(registry, grace=timedelta(hours=grace), dry_run=dry_run)
    if session.json:
        session.print_json({"dry_run": dry_run, **asdict(found)})
    else:
        click.echo(_collected(found, dry_run))


def _collected(found: "Collected", dry_run: bool) -> str:
    from ui.present import size

    counts = (
        (found.blobs, "blob", "blobs"),
        (found.temporaries, "temporary file", "temporary files"),
        (found.checkpoints, "checkpoint", "checkpoints"),
        (found.states, "file of cached states", "files of cached states"),
        (found.logs, "log", "logs"),
    )
    parts = [f"{count:,} {one if count == 1 else many}" for count, one, many in counts if count]
    if not parts:
        return "Nothing to remove."
    return f"{'Would remove' if dry_run else 'Removed'} {', '.join(parts)}: {size(found.bytes)}."


@click.command("fsck")
@click.option("--deep", is_flag=True, help="Also read every blob, and check its digest and its tensors.")
@common_options
@pass_session
def fsck(session: Session, deep: bool) -> None:
    """Look for files without rows and rows without files.

    Also for broken references, missing versions and a damaged database. Changes nothing. Exit code 1 when
    something is lost or changed; notes are harmless."""
    from ui import present

    found = _examined(session, deep)
    if session.json:
        session.print_json(asdict(found))
    elif found.problems or found.notes:
        rows = [("problem", one.subject, one.what) for one in found.problems]
        rows += [("note", one.subject, one.what) for one in found.notes]
        present.echo_table(("", "subject", "what"), rows)
    if not (session.json or found.problems):
        click.echo(
            "Every file is there, and every byte as it was stored." if deep else "Every file is there."
        )
    if found.problems:
        click.get_current_context().exit(1)


def _examined(session: Session, deep: bool) -> "Report":
    from registry import Problem, examine
    from registry.errors import DamagedError, SchemaError
    from registry.fsck import Report
    from ui.progress import reporting

    try:
        with _existing(session) as registry, reporting() as report:
            return examine(
                registry,
                deep=deep,
                on_progress=lambda done, total: report("look at blobs", done, total, ""),
            )
    except (DamagedError, SchemaError) as error:  # It cannot even be opened.
        return Report(problems=(Problem(subject="database", what=str(error)),))


@click.command("backup")
@click.argument("file", type=click.Path(path_type=Path))
@common_options
@pass_session
def backup(session: Session, file: Path) -> None:
    """Copy everything into one new FILE.

    Others may go on working: FILE holds the registry as it is now. What can be computed again is left out."""
    from registry import back_up
    from ui import present
    from ui.progress import reporting

    with _existing(session) as registry, reporting() as report:
        made = back_up(registry, file, on_progress=lambda done, total: report("copy blobs", done, total, ""))
    if session.json:
        session.print_json(asdict(made))
    else:
        click.echo(f"{made.file}: {present.size(made.bytes)}, {made.blobs:,} blobs.")
        present.next_step(f"registry restore {quote(str(file))} --home NEW")


@click.command("restore")
@click.argument("file", type=click.Path(path_type=Path))
@common_options
@pass_session
def restore(session: Session, file: Path) -> None:
    """Make a home from a backup FILE.

    The home (--home) must be new or empty. All of FILE is checked first; then the home appears at once."""
    from registry import restore as run
    from ui import present
    from ui.doctor import places
    from ui.progress import reporting

    with reporting() as report:
        made = run(
            file,
            places(session.home)["home"],
            on_progress=lambda done, total: report("restore blobs", done, total, ""),
        )
    if session.json:
        session.print_json(asdict(made))
        return
    click.echo(f"{made.home}: {made.blobs:,} blobs, as of {present.moment(made.created_at)}.")
    present.next_step(f"registry {'migrate' if made.outdated else 'fsck'} --home {quote(str(made.home))}")
