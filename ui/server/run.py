"""Serving until asked to stop."""

import uvicorn

from ui.server.app import create_app
from ui.server.settings import Settings


def serve(settings: Settings) -> None:
    """Serves until SIGINT or SIGTERM."""
    uvicorn.run(
        create_app(settings),
        host=settings.host,
        port=settings.port,
        log_level="warning",
        server_header=False,
        timeout_graceful_shutdown=5,
    )
