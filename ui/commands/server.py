"""`ui`, `user` and `token`: the browser app, and who may use it."""

import sys

import click

from ui.commands.options import device_option
from ui.group import RegistryGroup, Session, common_options, pass_session


@click.command("ui")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=7860, show_default=True, help="Port; 0 takes a free one."
)
@click.option(
    "--worker/--no-worker",
    default=True,
    show_default=True,
    help="Run also a worker for the jobs in the queue.",
)
@click.option(
    "--allow-host",
    "allowed",
    multiple=True,
    metavar="NAME",
    help="Answer also by this name, as people or a proxy ask for it; repeat it for more.",
)
@click.option(
    "--proxy",
    "proxies",
    multiple=True,
    metavar="ADDRESS",
    help="Believe a proxy at this address who asks, and whether by HTTPS; repeat it for more.",
)
@device_option
@common_options
@pass_session
def ui(
    session: Session,
    *,
    host: str,
    port: int,
    worker: bool,
    allowed: tuple[str, ...],
    proxies: tuple[str, ...],
    device: str,
) -> None:
    """Serve the browser app until it is stopped.

    Without users, it is for people on this machine alone; `registry user add NAME` lets others log in."""
    from ui.server.run import serve
    from ui.server.settings import Settings

    def tell(settings: Settings) -> None:
        if session.json:
            session.print_json({"url": settings.url, "home": settings.home})
            sys.stdout.flush()
        else:
            click.echo(f"Serving on {settings.url} until Ctrl-C.", err=True)

    settings = Settings(
        home=session.home,
        host=host,
        port=port,
        allowed_hosts=allowed,
        proxies=proxies,
        device=device,
        worker=worker,
    )
    serve(settings, ready=tell)


@click.group("user", cls=RegistryGroup)
def user() -> None:
    """Say who may log in to the browser app."""


stdin_option = click.option(
    "--password-stdin", "from_stdin", is_flag=True, help="Read the password from stdin, not the terminal."
)


@user.command("add")
@click.argument("name")
@stdin_option
@common_options
@pass_session
def add_user(session: Session, name: str, from_stdin: bool) -> None:
    """Let somebody log in; asks for a password."""
    with session.open() as registry:
        registry.users.add(name, _password(from_stdin))
    _tell(session, {"user": name}, f"{name} can log in.")


@user.command("password")
@click.argument("name")
@stdin_option
@common_options
@pass_session
def change_password(session: Session, name: str, from_stdin: bool) -> None:
    """Give somebody another password.

    Whoever is logged in with the old one has to log in anew; tokens stay."""
    with session.open() as registry:
        registry.users.change(name, _password(from_stdin))
    _tell(session, {"user": name}, f"{name} has a new password.")


@user.command("list")
@common_options
@pass_session
def list_users(session: Session) -> None:
    """List who may log in."""
    from ui import present

    with session.open() as registry:
        found = registry.users.list()
    if session.json:
        session.print_json([{"user": one.name, "created_at": one.created_at} for one in found])
    elif not found:
        click.echo("No users: the browser app asks nobody to log in. Add one: registry user add NAME")
    else:
        rows = [(one.name, present.moment(one.created_at)) for one in found]
        present.echo_table(("user", "created"), rows)


@user.command("remove")
@click.argument("name")
@common_options
@pass_session
def remove_user(session: Session, name: str) -> None:
    """Let somebody log in no more; sessions and tokens end."""
    with session.open() as registry:
        registry.users.remove(name)
    _tell(session, {"user": name}, f"{name} cannot log in any more.")


@click.group("token", cls=RegistryGroup)
def token() -> None:
    """Let programs use the browser app's interface in somebody's name."""


@token.command("add")
@click.argument("user")
@click.argument("name")
@common_options
@pass_session
def add_token(session: Session, user: str, name: str) -> None:
    """Make a token of a USER for the program NAME, and print it.

    It is not kept, so it is shown only now. A program sends it as `Authorization: Bearer TOKEN`."""
    with session.open() as registry:
        secret = registry.users.add_token(user, name)
    if session.json:
        session.print_json({"user": user, "token": name, "secret": secret})
    else:
        click.echo(secret)


@token.command("list")
@common_options
@pass_session
def list_tokens(session: Session) -> None:
    """List whose programs have tokens."""
    from ui import present

    with session.open() as registry:
        found = registry.users.tokens()
    if session.json:
        session.print_json(
            [{"user": one.user, "token": one.name, "created_at": one.created_at} for one in found]
        )
    elif not found:
        click.echo("No tokens. Make one: registry token add USER NAME")
    else:
        rows = [(one.user, one.name, present.moment(one.created_at)) for one in found]
        present.echo_table(("user", "token", "created"), rows)


@token.command("remove")
@click.argument("user")
@click.argument("name")
@common_options
@pass_session
def remove_token(session: Session, user: str, name: str) -> None:
    """Take a token away."""
    with session.open() as registry:
        registry.users.remove_token(user, name)
    _tell(session, {"user": user, "token": name}, f"The token {name} of {user} is worth nothing any more.")


def _password(from_stdin: bool) -> str:
    if from_stdin:
        return sys.stdin.readline().rstrip("\r\n")
    given: str = click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
    return given


def _tell(session: Session, document: dict[str, str], sentence: str) -> None:
    if session.json:
        session.print_json(document)
    else:
        click.echo(sentence)
