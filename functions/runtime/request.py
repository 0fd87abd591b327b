"""Makes an ASGI scope and a body of an invocation, by Mangum's readers of gateway events."""

import json
from typing import Any

from mangum.handlers import APIGateway, HTTPGateway
from mangum.types import LambdaConfig

from functions.runtime.invocation import Invocation

# Payload 2.0 (Function URL, HTTP API), then 1.0 (REST API). Nothing else streams.
READERS = (HTTPGateway, APIGateway)
CONFIG = LambdaConfig(api_gateway_base_path="/", text_mime_types=[], exclude_headers=[])


class NotHttpEvent(Exception):
    """The event is no HTTP request, but a test from the console, a queue's, or a schedule's."""


def read(invocation: Invocation) -> tuple[dict[str, Any], bytes]:
    """The scope, with the invocation as `aws.context`, and the body. Raises NotHttpEvent."""
    context: Any = invocation  # Lambda's context by its names
    try:
        event = json.loads(invocation.event)
        for reader in READERS:
            if reader.infer(event, context, CONFIG):
                request = reader(event, context, CONFIG)
                return dict(request.scope), request.body
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        raise NotHttpEvent from error
    raise NotHttpEvent
