"""The event types that the application declares: their names, their data and their topics."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ValidationError

from api.events.event import EVENT_TYPE, RESERVED_TYPES
from api.problems import ReservedEventType, ValidationFailed, field_errors
from api.security.patterns import TopicPattern


@dataclass(frozen=True, slots=True)
class EventType:
    """One declared type: `model` is its data, `topics` are the patterns it may be published to."""

    name: str
    model: type[BaseModel]
    topics: tuple[TopicPattern, ...]
    summary: str


class Catalogue:
    """The declared types by name. Events of other types may be published with any data."""

    def __init__(self) -> None:
        self._types: dict[str, EventType] = {}

    def declare(
        self, name: str, model: type[BaseModel], *, topics: tuple[str, ...], summary: str = ""
    ) -> None:
        """Add a type. Without a `summary` it has the first line of the model's docstring.

        Raises `ValueError` for a bad, reserved or repeated name.
        """
        if not EVENT_TYPE.fullmatch(name) or name in RESERVED_TYPES:
            raise ValueError(f"{name!r} cannot be an event type")
        if name in self._types:
            raise ValueError(f"event type {name!r} is declared twice")
        patterns = tuple(TopicPattern.parse(pattern) for pattern in topics)
        text = summary or (model.__doc__ or name).strip().splitlines()[0]
        self._types[name] = EventType(name, model, patterns, text)

    def __iter__(self) -> Iterator[EventType]:
        return iter(self._types.values())

    def checked(self, topic: str, name: str, data: Any) -> Any:
        """The data to store; that of a declared type is as its model writes it.

        Raises `ReservedEventType`, or `ValidationFailed` naming each field that is wrong.
        """
        if name in RESERVED_TYPES:
            raise ReservedEventType
        if not EVENT_TYPE.fullmatch(name):
            message = "1 to 64 letters, digits or _.- and a letter first"
            raise ValidationFailed(errors=[{"field": "type", "message": message}])
        declared = self._types.get(name)
        if declared is None:
            return data
        if not any(pattern.matches(topic) for pattern in declared.topics):
            message = f"events of type {name} do not belong to this topic"
            raise ValidationFailed(errors=[{"field": "topic", "message": message}])
        try:
            return declared.model.model_validate(data).model_dump(mode="json", by_alias=True)
        except ValidationError as error:
            raise ValidationFailed(errors=field_errors(error, within="data")) from error
