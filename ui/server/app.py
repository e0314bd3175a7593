"""The ASGI application: a FastAPI parent, the Gradio app mounted in it, log-in and guard around both."""

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress

from fastapi import FastAPI
from starlette.concurrency import run_in_threadpool
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp

from registry.errors import InvalidSettingError
from ui.browser.context import NAME, Context
from ui.server import uploads
from ui.server.answers import plain
from ui.server.front_page import FrontPage
from ui.server.guard import Guard
from ui.server.logins import WHO, Logins
from ui.server.metrics import Metrics
from ui.server.payloads import Payloads
from ui.server.routes import add_routes
from ui.server.settings import Settings
from ui.server.streams import Streams

_HOUR = 3600.0


def create_app(settings: Settings) -> ASGIApp:
    """Everything that a server answers.

    Raises:
        InvalidSettingError: Others than this machine could reach it, and there is no user to log in.
        RegistryError: The registry cannot be opened.
    """
    context = Context(settings.home, device=settings.device)
    registry = context.registry()
    if settings.public and not registry.users.any():
        raise InvalidSettingError(
            f"Others could reach the server at {settings.host}, and nobody can log in. "
            "Add a user first: registry user add NAME"
        )
    metrics = Metrics()
    parent = FastAPI(docs_url=None, redoc_url=None, openapi_url=None, lifespan=_lifespan(context))
    # Without one of the parent's own, Gradio answers other origins by rules that go by the Host header.
    parent.add_middleware(CORSMiddleware, allow_origins=[])
    add_routes(parent, registry, metrics)
    _mount(parent, context, settings)
    app = Payloads(Streams(FrontPage(parent, NAME)), uploads.folder(registry.cache))
    return Guard(Logins(app, registry.users, settings), settings, metrics)


def _mount(parent: FastAPI, context: Context, settings: Settings) -> None:
    """The app itself, under `/`."""
    os.environ["GRADIO_TEMP_DIR"] = str(uploads.folder(context.registry().cache))

    import gradio as gr
    from gradio.route_utils import FnIndexInferError

    from ui.browser import style
    from ui.browser.app import build
    from ui.server.sessions import Sessions

    blocks = build(context)
    # Only of an app that was launched does Gradio check that files it is told of were uploaded or made by it.
    blocks.has_launched = True
    gr.mount_gradio_app(
        parent,
        blocks,
        path="/",
        server_name=settings.host,
        server_port=settings.port,
        app_kwargs={"docs_url": None, "redoc_url": None, "openapi_url": None},
        auth_dependency=lambda request: request.scope.get(WHO),
        max_file_size=settings.max_upload,
        show_error=False,
        ssr_mode=False,
        enable_monitoring=False,
        mcp_server=False,
        run_history=False,
        footer_links=["api", "settings"],
        theme=style.theme(),
        css=style.CSS,
    )
    mounted = parent.routes[-1].app  # type: ignore[attr-defined]
    mounted.state_holder = Sessions(blocks)
    # Gradio's own routes raise these at requests that no page sends; each would be a trace in the log.
    for kind in (TypeError, ValueError, LookupError, AssertionError, AttributeError):
        mounted.add_exception_handler(kind, _not_understood)
    mounted.add_exception_handler(FnIndexInferError, _no_such_function)
    logging.getLogger("python_multipart").setLevel(logging.ERROR)  # A warning for each of them.


async def _not_understood(_: Request, error: Exception) -> Response:
    return plain(400, "This request is not one that a page or a client of the registry sends.")


async def _no_such_function(_: Request, error: Exception) -> Response:
    return plain(404, "There is no function of that name; /gradio_api/info lists them.")


def _lifespan(context: Context) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        sweeping = asyncio.create_task(_sweep(context))
        yield
        sweeping.cancel()
        with suppress(asyncio.CancelledError):
            await sweeping
        context.close()

    return lifespan


async def _sweep(context: Context) -> None:
    while True:
        await run_in_threadpool(uploads.sweep, uploads.folder(context.registry().cache))
        await asyncio.sleep(_HOUR)
