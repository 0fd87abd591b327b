"""Reads request bodies: JSON of bounded depth, sent as JSON."""

from typing import Any

import msgspec
from litestar import Request

from api.payloads.depth import is_nested_deeper
from api.payloads.responses import JSON
from api.problems import BadRequest, UnsupportedMediaType

# Each reader decodes again what we store, and some have a small stack.
MAX_NESTING = 64


class ApiRequest(Request[Any, Any, Any]):
    """A request whose body must be JSON and must be sent as `application/json`."""

    async def json(self) -> Any:
        """Return the parsed body.

        Raises UnsupportedMediaType for another type, BadRequest for what is not JSON, and
        Litestar's own exception of status 413 for a body that is too large.
        """
        if self.content_type[0] != JSON:
            raise UnsupportedMediaType
        return parse(await self.body())


def parse(raw: bytes) -> Any:
    """Return the value of a JSON text in UTF-8.

    Raises BadRequest for what is not JSON, and for JSON nested more than `MAX_NESTING` levels deep.
    """
    try:
        value = msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadRequest("The body is not JSON in UTF-8.") from error
    except RecursionError as error:
        raise BadRequest(_too_deep()) from error
    is_suspect = raw.count(b"[") + raw.count(b"{") > MAX_NESTING
    if is_suspect and is_nested_deeper(value, MAX_NESTING):
        raise BadRequest(_too_deep())
    return value


def _too_deep() -> str:
    return f"The body is nested more than {MAX_NESTING} levels deep."
