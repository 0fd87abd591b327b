"""SSE over HTTP/1.1 chunked encoding, cut back into whole frames."""

_HEAD_END = b"\r\n\r\n"


class BadResponse(Exception):
    """The server answered with something other than an event stream that stays open."""


class StreamBody:
    """Feed it what the socket gave; it returns whole frames, however the bytes were split."""

    __slots__ = ("_framing", "_partial", "_started")

    def __init__(self) -> None:
        self._started = False
        self._framing = b""  # raw bytes up to the first chunk that is not complete
        self._partial = b""  # body bytes of a frame that is not complete

    def feed(self, data: bytes) -> bytes:
        if self._framing:
            data = self._framing + data
        if not self._started:
            end = data.find(_HEAD_END)
            if end < 0:
                self._framing = data
                return b""
            _check_head(data[:end])
            self._started = True
            data = data[end + 4 :]
        body, self._framing = _dechunk(data)
        return self._whole_frames(body)

    def _whole_frames(self, body: bytes) -> bytes:
        if self._partial:
            body = self._partial + body
        if body.endswith((b"\n\n", b"\r\n\r\n")):
            self._partial = b""
            return body
        end = max(body.rfind(b"\n\n") + 2, body.rfind(b"\r\n\r\n") + 4)
        end = 0 if end < 4 else end  # neither separator was found: rfind gave -1
        self._partial = body[end:]
        return body[:end]


def _check_head(head: bytes) -> None:
    text = head.decode("latin-1").lower()
    if not text.startswith("http/1.1 200") or "transfer-encoding: chunked" not in text:
        raise BadResponse(text.splitlines()[0])


def _dechunk(data: bytes) -> tuple[bytes, bytes]:
    """The bodies of the complete chunks, joined, and the bytes that are left."""
    bodies: list[bytes] = []
    at, size = 0, len(data)
    while at < size:
        line_end = data.find(b"\r\n", at)
        if line_end < 0:
            break
        length = int(data[at:line_end], 16)
        if length == 0:
            raise BadResponse(f"the response ended after {b''.join(bodies)[-200:]!r}")
        end = line_end + 2 + length
        if end + 2 > size:
            break
        bodies.append(data[line_end + 2 : end])
        at = end + 2
    return b"".join(bodies), data[at:]
