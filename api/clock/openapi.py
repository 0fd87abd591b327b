"""The clock's part of the OpenAPI document."""

from typing import Any

MEDIA_TYPE = "application/json"
TIME = {"type": "string", "format": "date-time", "examples": ["2026-11-20T12:00:00.000Z"]}


def describe_clock(document: dict[str, Any]) -> None:
    """Add to `document` that the clock also answers with JSON, as the header `Accept` chooses."""
    content = document["paths"]["/api/clock"]["get"]["responses"]["200"]["content"]
    content[MEDIA_TYPE] = {
        "schema": {"type": "object", "required": ["time"], "properties": {"time": TIME}}
    }
