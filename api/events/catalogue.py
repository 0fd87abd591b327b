"""The event types that the application declares: the name, the data and the topics of each."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ValidationError

from api.events.event import EVENT_TYPE, RESERVED_TYPES
from api.problems import ReservedEventType, ValidationFailed, field_errors
from api.security.patterns import TopicPattern


@dataclass(frozen=True, slots=True)
class EventType:
    """One declared event type.

    `model` describes the data of its events. `topics` are the patterns of the topics that it may be
    published to. `summary` is its line in the AsyncAPI document.
    """

    name: str
    model: type[BaseModel]
    topics: tuple[TopicPattern, ...]
    summary: str


class Catalogue:
    """The declared event types by name. Events of types that are not declared may have any data.

    Iterating over it yields the types in the order of their declaration.
    """

    def __init__(self) -> None:
        self._types: dict[str, EventType] = {}

    def declare(
        self, name: str, model: type[BaseModel], *, topics: tuple[str, ...], summary: str = ""
    ) -> None:
        """Declare an event type, its data model and the patterns of the topics that may carry it.

        If `summary` is empty, the first line of the model's docstring is used. Raises `ValueError`
        if the name is malformed, reserved or declared already.
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
        """Return the data to store for an event of type `name` on `topic`.

        Data of a declared type is validated and returned in the form in which its model writes
        JSON; other data is returned unchanged. Raises `ReservedEventType`, or `ValidationFailed`,
        which names each wrong field.
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
