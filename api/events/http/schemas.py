"""JSON schemas of all that comes in and goes out, for the OpenAPI and the AsyncAPI document.

They come from the pydantic models: ours in `models`, and those of the declared event types.
"""

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
"""Where a document holds the schema of a model."""
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
    """The reference to a schema of the document, by its class name."""
    return {"$ref": REF.format(model=name)}


def frame_schemas() -> dict[str, Any]:
    """The schemas of a frame's `data:`, by class name."""
    return _definitions(FRAMES, "serialization")


def wire_schemas() -> dict[str, Any]:
    """The schemas of our own models, by class name; the same for every application."""
    return _definitions(VIEWS, "serialization") | _definitions(BODIES, "validation")


@dataclass(frozen=True, slots=True)
class DataSchemas:
    """The schemas of declared types' data.

    `to_publish` and `as_read` are references by the type's name: they differ where a model has
    computed fields. `definitions` is what they refer to.
    """

    to_publish: Refs
    as_read: Refs
    definitions: dict[str, Any]


def data_schemas(catalogue: Catalogue, *modes: Mode) -> DataSchemas:
    """The schemas of all declared types, for these modes of pydantic.

    "validation" is what a client publishes, "serialization" what it reads.
    """
    models = [(kind.model, mode) for kind in catalogue for mode in modes]
    found, rest = models_json_schema(models, ref_template=REF)

    def refs(mode: Mode) -> Refs:
        return {kind.name: found[kind.model, mode] for kind in catalogue if mode in modes}

    return DataSchemas(refs("validation"), refs("serialization"), rest.get("$defs", {}))


def draft_schema(kind: EventType, data: dict[str, str]) -> dict[str, Any]:
    """What a client sends to publish an event of a declared type; `data` is the data's schema."""
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
