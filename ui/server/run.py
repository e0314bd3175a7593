"""Serving until asked to stop."""

import asyncio
import logging
import os
import signal
import socket
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace

import uvicorn

from registry import Registry
from registry.errors import InvalidSettingError
from ui.server.app import create_app
from ui.server.settings import Settings
from ui.server.worker import Companion
from ui.waiting import handling

GRACE = 3
"""Seconds for requests that are being answered when the server is asked to stop."""
CONNECTIONS = 1000


def serve(settings: Settings, *, ready: Callable[[Settings], None] = lambda _: None) -> None:
    """Serves until SIGINT or SIGTERM.

    Args:
        settings: How; port 0 takes any that is free.
        ready: Called when connections are taken, with the settings as they came to be.

    Raises:
        InvalidSettingError: The address cannot be listened on, or nobody could log in.
        RegistryError: The registry cannot be opened.
    """
    with ExitStack() as stack:
        listener = stack.enter_context(_listening(settings))
        settings = replace(settings, port=listener.getsockname()[1])
        with Registry(settings.home) as registry:
            home = registry.home
        app = create_app(settings)
        if settings.worker:
            worker = Companion(home)
            worker.start()
            stack.callback(worker.stop)
        ready(settings)
        config = uvicorn.Config(
            app,
            log_level="warning",
            access_log=False,
            server_header=False,
            proxy_headers=bool(settings.proxies),
            forwarded_allow_ips=list(settings.proxies),
            ws="none",
            limit_concurrency=CONNECTIONS,
            timeout_graceful_shutdown=2 * GRACE,
        )
        logging.getLogger("uvicorn.error").addFilter(_worth_a_line)
        # After its own good end uvicorn raises the signal anew; what is left to do here comes after that.
        with handling(signal.SIGINT, _nothing), handling(signal.SIGTERM, _nothing):
            _Server(config).run(sockets=[listener])


class _Server(uvicorn.Server):
    """Hangs up on those who would stay forever: each open page holds a connection for what comes next."""

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Ends, by itself where everybody leaves in time."""
        asyncio.get_running_loop().call_later(GRACE, self._hang_up)
        await super().shutdown(sockets)

    def _hang_up(self) -> None:
        for connection in list(self.server_state.connections):
            connection.transport.close()


def _reason(error: OSError) -> str:
    # Python adds the address to what the system says, except where that is no address at all.
    return os.strerror(error.errno) if error.errno and error.errno > 0 else str(error.strerror)


def _nothing() -> None:
    pass


_NOISE = ("Invalid HTTP request received.", "Unsupported upgrade request.", "No supported WebSocket library")
"""Of what whoever connects can make uvicorn say; they get 400, and the operator has nothing to do."""


def _worth_a_line(record: logging.LogRecord) -> bool:
    return not record.getMessage().startswith(_NOISE)


def _listening(settings: Settings) -> socket.socket:
    """A socket that takes connections at the address: what is wrong with it is told before anything else."""
    try:
        return socket.create_server(
            (settings.host, settings.port),
            family=socket.AF_INET6 if ":" in settings.host else socket.AF_INET,
            backlog=2048,
        )
    except OSError as error:
        raise InvalidSettingError(
            f"Cannot listen on {settings.host} port {settings.port}: {_reason(error)}. "
            "Choose another with --host or --port."
        ) from error
