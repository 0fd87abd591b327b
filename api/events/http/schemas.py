"""JSON schemas of all requests, answers and frames, for the OpenAPI and the AsyncAPI document.

They are made from pydantic models: our own in `models`, and those of the declared event types.
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
"""The reference to the schema of a class in a document; `{model}` stands for the class name."""
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
"""A `$ref` object for each of some event types, by name."""
Mode = Literal["validation", "serialization"]
"""A mode of pydantic: the schema of what a model accepts, or of what it writes."""


def ref(name: str) -> dict[str, str]:
    """Return the `$ref` object for the schema of the class with this name."""
    return {"$ref": REF.format(model=name)}


def frame_schemas() -> dict[str, Any]:
    """Return the schemas of the `data:` of frames, by class name."""
    return _definitions(FRAMES, "serialization")


def wire_schemas() -> dict[str, Any]:
    """Return the schemas of the models of this package, by class name."""
    return _definitions(VIEWS, "serialization") | _definitions(BODIES, "validation")


@dataclass(frozen=True, slots=True)
class DataSchemas:
    """The schemas of the data of all declared event types.

    `to_publish` and `as_read` are references by the name of the event type; the two differ if a
    model has computed fields. `definitions` are the schemas that they refer to, by class name.
    """

    to_publish: Refs
    as_read: Refs
    definitions: dict[str, Any]


def data_schemas(catalogue: Catalogue, *modes: Mode) -> DataSchemas:
    """Return the schemas of all declared types, for each of these modes of pydantic.

    "validation" is for what clients publish, and "serialization" for what they read. The references
    of a mode that is not asked for are empty.
    """
    models = [(kind.model, mode) for kind in catalogue for mode in modes]
    found, rest = models_json_schema(models, ref_template=REF)

    def refs(mode: Mode) -> Refs:
        return {kind.name: found[kind.model, mode] for kind in catalogue if mode in modes}

    return DataSchemas(refs("validation"), refs("serialization"), rest.get("$defs", {}))


def draft_schema(kind: EventType, data: dict[str, str]) -> dict[str, Any]:
    """Return the schema of a request body that publishes an event of a declared type.

    `data` is the reference to the schema of its data.
    """
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
