"""Builds the AsyncAPI 3 document: event types, their topics, how to read and publish them."""

import re
from typing import Any

from api.events.catalogue import Catalogue, EventType
from api.events.http.schemas import data_schemas, draft_schema, frame_schemas, ref
from api.security.patterns import TopicPattern

Document = dict[str, Any]
"""An AsyncAPI document or a part of it, as decoded JSON."""

DESCRIPTION = (
    "Which events there are, and on which topics. The document describes the server: what it "
    "sends is what clients receive over SSE, what it receives is what they publish by POST."
)

CONTROLS = {
    "connected": ("ConnectedControl", "The first frame; its cursor is where the stream starts."),
    "reset": ("ResetControl", "Events were lost: refetch the state of these topics."),
    "bye": ("ByeControl", "The last frame: reconnect after `retry_ms`."),
}
STREAM = "stream"  # the channel that stands for all streams
REST_OF_TOPIC = "rest"  # the parameter for a trailing `**` of a pattern


def describe_asyncapi(catalogue: Catalogue, *, version: str, protocol: str, host: str) -> Document:
    """Return the document for a server at `host`, which is reached by `protocol` (http or https).

    `version` is that of the application.
    """
    data = data_schemas(catalogue, "validation", "serialization")
    messages = _controls() | {"event": _any_event()}
    channels = {STREAM: _stream_channel()}
    operations = {
        f"send_{STREAM}": _operation("send", STREAM, [*CONTROLS, "event"], "Controls and events")
    }
    for kind in catalogue:
        messages[_sent(kind)] = _event_message(kind, data.as_read[kind.name])
        messages[_taken(kind)] = _draft_message(kind, data.to_publish[kind.name])
    for pattern, kinds in _by_pattern(catalogue).items():
        channel = _channel_name(pattern)
        names = [name for kind in kinds for name in (_sent(kind), _taken(kind))]
        channels[channel] = _topic_channel(pattern, names)
        read, publish = [_sent(kind) for kind in kinds], [_taken(kind) for kind in kinds]
        operations[f"send_{channel}"] = _operation("send", channel, read, "Read over SSE")
        operations[f"receive_{channel}"] = _operation("receive", channel, publish, "Publish")
    return {
        "asyncapi": "3.0.0",
        "info": {"title": "Millrace events", "version": version, "description": DESCRIPTION},
        "defaultContentType": "application/json",
        "servers": {"api": _server(protocol, host)},
        "channels": channels,
        "operations": operations,
        "components": {
            "schemas": data.definitions | frame_schemas(),
            "messages": messages,
            "securitySchemes": _security_schemes(),
        },
    }


def _server(protocol: str, host: str) -> Document:
    return {
        "host": host,
        "protocol": protocol,
        "pathname": "/api/events",
        "description": "GET with `topic` parameters is the stream (text/event-stream); "
        "POST to /api/events/{topic} publishes. See /api/openapi.json.",
        "security": [
            {"$ref": f"#/components/securitySchemes/{name}"} for name in _security_schemes()
        ],
    }


def _security_schemes() -> Document:
    ticket = "One connection, within a minute: `?ticket=` from POST /api/stream-tickets."
    return {
        "bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
        "ticket": {"type": "httpApiKey", "in": "query", "name": "ticket", "description": ticket},
    }


def _controls() -> Document:
    return {
        name: {"name": name, "title": name, "summary": summary, "payload": ref(schema)}
        for name, (schema, summary) in CONTROLS.items()
    }


def _any_event() -> Document:
    summary = "An event of a type that is not declared: any data."
    return {"name": "event", "title": "event", "summary": summary, "payload": ref("EventView")}


def _event_message(kind: EventType, data: dict[str, str]) -> Document:
    own = {"properties": {"type": {"const": kind.name}, "data": data}}
    return {
        "name": kind.name,
        "title": kind.name,
        "summary": kind.summary,
        "payload": {"allOf": [ref("EventView"), own]},
    }


def _draft_message(kind: EventType, data: dict[str, str]) -> Document:
    return {
        "name": kind.name,
        "title": f"{kind.name}, to publish",
        "summary": kind.summary,
        "payload": draft_schema(kind, data),
    }


def _stream_channel() -> Document:
    return {
        "address": "/api/events",
        "title": "The stream",
        "description": "One connection carries the events of all its topics, and the controls.",
        "messages": {name: _message_ref(name) for name in (*CONTROLS, "event")},
        "bindings": {"http": {}},
    }


def _topic_channel(pattern: TopicPattern, names: list[str]) -> Document:
    address, parameters = _address(pattern)
    return {
        "address": address,
        "title": str(pattern),
        "description": "A topic: `topic=` of GET /api/events, the path of a POST.",
        "messages": {name: _message_ref(name) for name in names},
        "parameters": parameters,
    }


def _operation(action: str, channel: str, names: list[str], title: str) -> Document:
    method = "GET" if action == "send" else "POST"
    return {
        "action": action,
        "channel": {"$ref": f"#/channels/{channel}"},
        "title": title,
        "messages": [{"$ref": f"#/channels/{channel}/messages/{name}"} for name in names],
        "bindings": {"http": {"method": method, "bindingVersion": "0.3.0"}},
    }


def _message_ref(name: str) -> Document:
    return {"$ref": f"#/components/messages/{name}"}


def _by_pattern(catalogue: Catalogue) -> dict[TopicPattern, list[EventType]]:
    found: dict[TopicPattern, list[EventType]] = {}
    for kind in catalogue:
        for pattern in kind.topics:
            found.setdefault(pattern, []).append(kind)
    return found


def _address(pattern: TopicPattern) -> tuple[str, Document]:
    """Return the pattern as an address, with a parameter for each `*` and a trailing `**`."""
    parts, parameters = [], {}
    for number, segment in enumerate(pattern.segments, start=1):
        if segment == "*":
            parameters[f"segment{number}"] = {"description": "One segment of the topic."}
            parts.append(f"{{segment{number}}}")
        else:
            parts.append(segment)
    if pattern.is_open:
        parameters[REST_OF_TOPIC] = {"description": "One or more segments, joined by colons."}
        parts.append(f"{{{REST_OF_TOPIC}}}")
    return ":".join(parts), parameters


def _channel_name(pattern: TopicPattern) -> str:
    """Return the pattern as a key, in which `*`, `:` and `~` are not allowed."""
    spelled = re.sub(r"[^A-Za-z0-9_.-]", lambda found: f"-{ord(found[0]):x}-", str(pattern))
    return f"topic.{spelled}"


def _sent(kind: EventType) -> str:
    return f"event.{kind.name}"


def _taken(kind: EventType) -> str:
    return f"draft.{kind.name}"
