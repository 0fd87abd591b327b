"""Makes the OpenAPI document: Litestar describes the handlers, and we complete it."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import msgspec
from litestar import Litestar
from litestar.di import Provide
from litestar.handlers import HTTPRouteHandler
from litestar.openapi import OpenAPIConfig
from litestar.routes import HTTPRoute
from litestar.types import ControllerRouterHandler
from litestar.typing import FieldDefinition
from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema

from api.docs.openapi import VERSION, Facts, complete
from api.events import REF, Catalogue, describe_events, describe_stream

SUMMARY = "Real-time events over SSE that survive every disconnect, and the same by JSON polls."


def openapi(
    routes: Sequence[ControllerRouterHandler],
    *,
    dependencies: Mapping[str, Provide],
    types: Sequence[Any],
    catalogue: Catalogue,
    describing: Iterable[Callable[[dict[str, Any]], None]],
) -> bytes:
    """The OpenAPI 3.1 document of these handlers, as JSON; `describing` are what features add.

    An application of its own generates it, because Litestar's way to serve one brings pages
    that load scripts from elsewhere and answer 404 in HTML.
    """
    described = Litestar(
        routes,
        dependencies=dependencies,
        signature_types=types,
        logging_config=None,
        openapi_config=OpenAPIConfig(
            title="Millrace",
            version=VERSION,
            summary=SUMMARY,
            use_handler_docstrings=True,
            operation_id_creator=lambda handler, *_: _operation_id(handler),
        ),
    )
    document = described.openapi_schema.to_schema()
    document["components"]["schemas"] |= _model_schemas(_handlers(described))
    describe_events(document, catalogue)
    for describe in describing:
        describe(document)
    handlers = {_operation_id(handler): handler for handler in _handlers(described)}
    for path in document["paths"].values():
        for operation in path.values():
            if handlers[operation["operationId"]].opt.get("is_stream"):
                describe_stream(operation)
    facts = {name: _facts(handler) for name, handler in handlers.items()}
    return msgspec.json.encode(complete(document, facts), enc_hook=_default_value)


def _default_value(value: object) -> object:
    """A field's default may be a model."""
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    raise TypeError(f"{type(value).__name__} has no place in a document")


def _handlers(app: Litestar) -> set[HTTPRouteHandler]:
    return {
        handler
        for route in app.routes
        if isinstance(route, HTTPRoute)
        for handler in route.route_handlers
    }


def _model_schemas(handlers: Iterable[HTTPRouteHandler]) -> dict[str, Any]:
    """What comes in and goes out, as the models say it: the framework leaves limits out."""
    models: dict[tuple[type[BaseModel], JsonSchemaMode], None] = {}
    for handler in sorted(handlers, key=_operation_id):
        signature = handler.parsed_fn_signature
        if body := signature.parameters.get("data"):
            models |= {(model, "validation"): None for model in _models(body)}
        models |= {(model, "serialization"): None for model in _models(signature.return_type)}
    _, schema = models_json_schema(list(models), ref_template=REF)
    definitions: dict[str, Any] = schema["$defs"]
    return definitions


def _models(field: FieldDefinition) -> Iterator[type[BaseModel]]:
    if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
        yield field.annotation
    for inner in field.inner_types:
        yield from _models(inner)


def _facts(handler: HTTPRouteHandler) -> Facts:
    """What a handler says: it declares its problems by `opt["problems"]`."""
    return Facts(
        problems=handler.opt.get("problems", ()),
        error_form=handler.opt.get("error_form", "problem"),
        takes_ticket=handler.opt.get("takes_ticket", False),
        needs_caller="principal" in handler.parsed_fn_signature.parameters,
    )


def _operation_id(handler: HTTPRouteHandler) -> str:
    return handler.name or handler.handler_name
