"""The ASGI application: a FastAPI parent, the Gradio app mounted in it, and the guard around both."""

import os
from typing import TYPE_CHECKING

from fastapi import FastAPI

from registry.disk import private_folder
from ui.browser.context import Context
from ui.server.guard import Guard
from ui.server.settings import Settings

if TYPE_CHECKING:
    from starlette.types import ASGIApp


def create_app(settings: Settings) -> "ASGIApp":
    """Everything that a server answers."""
    context = Context(settings.home, device=settings.device)
    uploads = private_folder(context.registry().cache / "browser")
    os.environ["GRADIO_TEMP_DIR"] = str(uploads)

    import gradio as gr

    from ui.browser.app import build

    parent = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    gr.mount_gradio_app(
        parent,
        build(context),
        path="/",
        server_name=settings.host,
        server_port=settings.port,
        max_file_size=settings.max_upload,
        show_error=False,
        ssr_mode=False,
        enable_monitoring=False,
        mcp_server=False,
        run_history=False,
        footer_links=["api", "settings"],
        blocked_paths=[str(context.registry().home)],
        theme=gr.themes.Default(font=["system-ui", "sans-serif"], font_mono=["ui-monospace", "monospace"]),
    )
    return Guard(parent, settings)
