"""One HTTP request and its reply, as values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, unquote

from infra.local.ably.protocol import AblyError, Format, bad_request, decode, encode


@dataclass(frozen=True, slots=True)
class Request:
    """A request. Header names are in lower case; `path` has the decoded segments."""

    method: str
    path: tuple[str, ...]
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes = b""

    @classmethod
    def of(
        cls, method: str, raw_path: bytes, query: bytes, headers: Mapping[str, str], body: bytes
    ) -> Request:
        # It is split before it is decoded: names of channels hold %2F and %3A.
        segments = (unquote(one) for one in raw_path.decode("latin-1").split("/") if one)
        return cls(method, tuple(segments), query_of(query), headers, body)

    @property
    def format(self) -> Format:
        """The format of the reply."""
        return Format.of(self.query.get("format") or self.headers.get("accept"))

    @property
    def version(self) -> int:
        """The version of the protocol that the client speaks."""
        text = self.headers.get("x-ably-version") or self.query.get("v") or ""
        major = text.partition(".")[0]
        return int(major) if major.isdecimal() else 2

    def value(self) -> Any:
        """The body, decoded; None when there is none. Raises AblyError 40000."""
        if not self.body:
            return None
        return decode(self.body, Format.of(self.headers.get("content-type")))

    def object(self) -> dict[str, Any]:
        """The body as an object, which is empty without a body. Raises AblyError 40000."""
        value = self.value()
        if value is None:
            return {}
        if not isinstance(value, dict):
            raise bad_request("the body is not an object")
        return value


@dataclass(frozen=True, slots=True)
class Reply:
    """A status, and a value that is not encoded yet. None means no body."""

    status: int
    value: Any
    headers: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of_error(cls, error: AblyError) -> Reply:
        # The message may name a channel, whose letters a header cannot always hold.
        shown = "".join(one if " " <= one <= "~" else "?" for one in error.message)
        headers = {"X-Ably-ErrorCode": str(error.code), "X-Ably-ErrorMessage": shown}
        return cls(error.status, {"error": error.info()}, headers)

    def enveloped(self) -> Reply:
        """The reply for a browser that asks for `envelope=json`: 200, with all else inside."""
        return Reply(
            200,
            {"statusCode": self.status, "response": self.value, "headers": {**self.headers}},
            self.headers,
        )

    def encoded(self, form: Format) -> bytes:
        return b"" if self.value is None else encode(self.value, form)


def query_of(raw: bytes) -> dict[str, str]:
    """The parameters of a query; of several with one name the last."""
    return dict(parse_qsl(raw.decode("latin-1"), keep_blank_values=True))
