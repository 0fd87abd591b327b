"""JSON schemas of what travels: events, controls, and the data of declared types."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from api.events.catalogue import Catalogue, EventType
from api.events.http.models import (
    BatchBody,
    BatchItem,
    BatchResult,
    BatchView,
    ByeControl,
    ConnectedControl,
    EventView,
    HistoryView,
    PollView,
    PublishBody,
    PublishedView,
    ResetControl,
    ResetView,
    TicketBody,
    TicketView,
)

REF = "#/components/schemas/{model}"
FRAMES: tuple[type[BaseModel], ...] = (EventView, ConnectedControl, ResetControl, ByeControl)
VIEWS: tuple[type[BaseModel], ...] = (
    *FRAMES,
    ResetView,
    PollView,
    HistoryView,
    PublishedView,
    BatchResult,
    BatchView,
    TicketView,
)
BODIES: tuple[type[BaseModel], ...] = (PublishBody, BatchItem, BatchBody, TicketBody)
Refs = dict[str, dict[str, str]]
Mode = Literal["validation", "serialization"]


def ref(name: str) -> dict[str, str]:
    return {"$ref": REF.format(model=name)}


def frame_schemas() -> dict[str, Any]:
    """What the `data:` of a frame can be, by class name."""
    return _definitions(FRAMES, "serialization")


def wire_schemas() -> dict[str, Any]:
    """All that comes in and goes out, by class name; the same for every application."""
    return _definitions(VIEWS, "serialization") | _definitions(BODIES, "validation")


@dataclass(frozen=True, slots=True)
class DataSchemas:
    """References to the data of declared types, by name, and the definitions behind them."""

    to_publish: Refs
    as_read: Refs
    definitions: dict[str, Any]


def data_schemas(catalogue: Catalogue, *modes: Mode) -> DataSchemas:
    """`modes`: "validation" is what one publishes, "serialization" what one reads.

    What a model computes makes them differ; then both have a definition of their own.
    """
    models = [(kind.model, mode) for kind in catalogue for mode in modes]
    found, rest = models_json_schema(models, ref_template=REF)

    def refs(mode: Mode) -> Refs:
        return {kind.name: found[kind.model, mode] for kind in catalogue if mode in modes}

    return DataSchemas(refs("validation"), refs("serialization"), rest.get("$defs", {}))


def draft_schema(kind: EventType, data: dict[str, str]) -> dict[str, Any]:
    """What one publishes of a declared type."""
    return {
        "type": "object",
        "description": kind.summary,
        "required": ["type", "data"],
        "properties": {"type": {"const": kind.name}, "data": data},
    }


def _definitions(models: Iterable[type[BaseModel]], mode: Mode) -> dict[str, Any]:
    _, schema = models_json_schema([(model, mode) for model in models], ref_template=REF)
    definitions: dict[str, Any] = schema["$defs"]
    return definitions
