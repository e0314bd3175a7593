"""What the server answers beside the app: its health, its figures, pictures as pages of their own."""

from fastapi import FastAPI
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from registry import Registry
from registry.errors import NotFoundError, RegistryError
from ui.plots import lineage
from ui.server.answers import plain
from ui.server.metrics import CONTENT_TYPE, Metrics
from ui.views.lineage import links

_PICTURE = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"


def add_routes(parent: FastAPI, registry: Registry, metrics: Metrics) -> None:
    """Adds them; to be called before the app is mounted, which answers everything else."""

    async def healthz(_: Request) -> Response:
        try:
            await run_in_threadpool(registry.users.any)
        except RegistryError:
            return JSONResponse({"status": "unavailable"}, 503)
        return JSONResponse({"status": "ok"})

    async def show_metrics(_: Request) -> Response:
        return Response(await run_in_threadpool(metrics.text, registry), media_type=CONTENT_TYPE)

    async def draw_lineage(request: Request) -> Response:
        try:
            found = await run_in_threadpool(registry.lineage, request.path_params["name"])
        except RegistryError as error:
            return plain(404 if isinstance(error, NotFoundError) else 500, str(error))
        picture = await run_in_threadpool(lineage.svg, found, links(found.root))
        headers = {"content-security-policy": _PICTURE, "cache-control": "no-store"}
        return Response(picture, headers=headers, media_type="image/svg+xml")

    parent.add_route("/healthz", healthz)
    parent.add_route("/metrics", show_metrics)
    parent.add_route("/lineage/{name:path}.svg", draw_lineage)
