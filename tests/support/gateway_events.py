"""The events into which API Gateway and Function URLs turn a request."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

Query = Sequence[tuple[str, str]]
ADDRESS = "203.0.113.7"


def rest_api(
    path: str, query: Query, headers: Mapping[str, str], *, method: str = "GET", body: str = ""
) -> dict[str, Any]:
    """An event of API Gateway's REST API (payload 1.0)."""
    names = {name for name, _ in query}
    return {
        "version": "1.0",
        "resource": "/{proxy+}",
        "path": path,
        "httpMethod": method,
        "headers": {"host": "api.localhost", **headers},
        "multiValueHeaders": {k: [v] for k, v in {"host": "api.localhost", **headers}.items()},
        "queryStringParameters": dict(query),
        "multiValueQueryStringParameters": {
            name: [value for key, value in query if key == name] for name in names
        },
        "pathParameters": {"proxy": path.strip("/")},
        "requestContext": {
            "httpMethod": method,
            "path": path,
            "stage": "$default",
            "identity": {"sourceIp": ADDRESS},
        },
        "body": body or None,
        "isBase64Encoded": False,
    }


def http_api(
    path: str, query: Query, headers: Mapping[str, str], *, method: str = "GET", body: str = ""
) -> dict[str, Any]:
    """An event of API Gateway's HTTP API (payload 2.0)."""
    return {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": urlencode(query),
        "headers": {"host": "api.localhost", **headers},
        "requestContext": {
            "http": {
                "method": method,
                "path": path,
                "protocol": "HTTP/1.1",
                "sourceIp": ADDRESS,
                "userAgent": "test",
            },
            "stage": "$default",
            "domainName": "api.localhost",
        },
        "body": body or None,
        "isBase64Encoded": False,
    }


def function_url(
    path: str, query: Query, headers: Mapping[str, str], *, method: str = "GET", body: str = ""
) -> dict[str, Any]:
    """An event of a Function URL: payload 2.0 with another host."""
    event = http_api(path, query, headers, method=method, body=body)
    event["headers"]["host"] = "abc.lambda-url.localhost"
    event["requestContext"]["domainName"] = "abc.lambda-url.localhost"
    return event
