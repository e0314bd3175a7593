"""`ui`: the browser app."""

import click

from ui.group import Session, common_options, pass_session


@click.command("ui")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), default=7860, show_default=True, help="Port.")
@click.option(
    "--allow-host",
    "allowed",
    multiple=True,
    metavar="NAME",
    help="Answer also by this name, as a proxy in front asks for it; repeat it for more.",
)
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or mps.")
@common_options
@pass_session
def ui(session: Session, host: str, port: int, allowed: tuple[str, ...], device: str) -> None:
    """Serve the browser app until it is stopped."""
    from ui.server.run import serve
    from ui.server.settings import Settings

    click.echo(f"Serving on http://{host}:{port}/", err=True)
    serve(Settings(home=session.home, host=host, port=port, allowed_hosts=allowed, device=device))
