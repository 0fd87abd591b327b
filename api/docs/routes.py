"""The routes that a browser opens: both API documents, the interactive docs, and the web page."""

from collections.abc import Callable
from typing import Any

import msgspec
from litestar import Request, Response, get
from litestar.params import FromPath
from litestar.types import ControllerRouterHandler

from api.docs import assets
from api.docs.openapi import VERSION
from api.docs.page import INDEX, WebRoot, content_policy
from api.events import Catalogue, describe_asyncapi
from api.payloads.responses import JSON
from api.problems import NotFound
from api.settings import Settings

AnyRequest = Request[Any, Any, Any]
NO_SNIFF = {"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer"}
REVALIDATE = {"Cache-Control": "no-cache"}
A_DAY = {"Cache-Control": "public, max-age=86400"}


def document_routes(
    openapi: Callable[[], bytes], catalogue: Catalogue
) -> list[ControllerRouterHandler]:
    """Build the routes of the OpenAPI and the AsyncAPI document.

    `openapi` gives the OpenAPI document as JSON. `catalogue` has the event types for the other.
    """

    @get("/api/openapi.json", name="openapi", tags=["documents"], sync_to_thread=True)
    def openapi_document() -> Response[Any]:
        """Return this document, in OpenAPI 3.1."""
        return Response(openapi(), media_type=JSON, headers=REVALIDATE)

    @get("/api/asyncapi.json", name="asyncapi", tags=["documents"], sync_to_thread=False)
    def asyncapi_document(request: AnyRequest) -> Response[Any]:
        """Return the declared event types and their topics, in AsyncAPI 3."""
        protocol, host = request.url.scheme, request.headers.get("host", "localhost")
        document = describe_asyncapi(catalogue, version=VERSION, protocol=protocol, host=host)
        content = msgspec.json.encode(document)
        return Response(content, media_type=JSON, headers=REVALIDATE)

    return [openapi_document, asyncapi_document]


def docs_routes(*, is_local: bool) -> list[ControllerRouterHandler]:
    """Build the routes of the interactive docs, which work without a network.

    With `is_local` the page has a button that signs in.
    """

    @get("/api/docs", name="docs", include_in_schema=False, sync_to_thread=False)
    def docs() -> Response[str]:
        headers = {"Content-Security-Policy": assets.POLICY, **NO_SNIFF, **REVALIDATE}
        return Response(assets.page(is_local=is_local), media_type="text/html", headers=headers)

    @get("/api/docs/{name:str}", name="docs_asset", include_in_schema=False, sync_to_thread=True)
    def docs_asset(name: FromPath[str]) -> Response[bytes]:
        asset = assets.find_asset(name, is_local=is_local)
        if asset is None:
            raise NotFound
        return Response(asset.content, media_type=asset.media_type, headers={**NO_SNIFF, **A_DAY})

    return [docs, docs_asset]


def page_routes(settings: Settings) -> list[ControllerRouterHandler]:
    """Build the routes of the web page at `/` and its files; none if no `web_root` is set."""
    if settings.web_root is None:
        return []
    root = WebRoot(settings.web_root)

    @get("/", name="page", include_in_schema=False, sync_to_thread=True)
    def page() -> Response[bytes]:
        return shown(INDEX)

    @get("/{name:path}", name="page_file", include_in_schema=False, sync_to_thread=True)
    def page_file(name: FromPath[str]) -> Response[bytes]:
        return shown(name.removeprefix("/"))

    def shown(name: str) -> Response[bytes]:
        file = root.find(name)
        if file is None:
            raise NotFound
        headers = {**NO_SNIFF, **REVALIDATE}
        if file.media_type == "text/html":
            html = file.content.decode()
            headers["Content-Security-Policy"] = content_policy(html, is_local=settings.is_local)
        return Response(file.content, media_type=file.media_type, headers=headers)

    return [page, page_file]
