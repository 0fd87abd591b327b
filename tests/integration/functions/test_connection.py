"""The container protects itself from what a connection may send, with nothing in front of it."""

from __future__ import annotations

import json
import re
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from time import monotonic
from typing import Any

import pytest

from tests.support.container import Container
from tests.support.upstash_server import UpstashServer

URL_BYTES, HEAD_BYTES, TIMEOUT_S = 2048, 8192, 0.5
LONG_S = 15.0
MEGABYTE = 1_000_000
HOST = b"Host: localhost\r\n"
BODY = b'{"user":"h2c"}'
# The bytes of java.net.http.HttpClient in version 17, whose body comes in a segment of its own.
JAVA = (
    b"POST /api/dev/session HTTP/1.1\r\nConnection: Upgrade, HTTP2-Settings\r\n"
    b"Content-Length: 14\r\n"
    + HOST
    + b"HTTP2-Settings: AAEAAEAAAAIAAAABAAMAAABkAAQBAAAAAAUAAEAA\r\n"
    b"Upgrade: h2c\r\nUser-Agent: Java-http-client/17.0.12\r\n"
    b"Content-Type: application/json\r\n\r\n"
)


@dataclass(frozen=True)
class Answer:
    status: int
    head: str
    body: bytes

    @property
    def problem(self) -> Any:
        assert "content-type: application/problem+json" in self.head
        return json.loads(self.body)


@pytest.fixture(scope="module")
def server(upstash_server: UpstashServer) -> Iterator[Container]:
    limits = {"max_url_bytes": URL_BYTES, "max_head_bytes": HEAD_BYTES}
    times = {"head_timeout_s": TIMEOUT_S, "body_timeout_s": TIMEOUT_S}
    container = Container(upstash_server, job_workers=0, **limits, **times).start()
    yield container
    container.stop()
    assert "Traceback" not in container.complaints, container.complaints


@contextmanager
def connected(server: Container) -> Iterator[socket.socket]:
    with socket.create_connection(server.address, timeout=LONG_S) as connection:
        yield connection


def answer_of(connection: socket.socket) -> Answer:
    """The next answer; it must name its length."""
    with connection.makefile("rb") as stream:
        head = b"".join(iter(stream.readline, b"\r\n")).decode().lower()
        length = re.search(r"content-length: (\d+)", head)
        body = stream.read(int(length[1])) if length else b""
    return Answer(int(head.split()[1]), head, body)


def asked(server: Container, *parts: bytes) -> Answer:
    with connected(server) as connection:
        for part in parts:
            connection.sendall(part)
        return answer_of(connection)


def get(target: bytes = b"/api/health/live", fields: bytes = b"") -> bytes:
    return b"GET %b HTTP/1.1\r\n" % target + HOST + fields + b"\r\n"


def post(fields: bytes, body: bytes = b"") -> bytes:
    kind = b"Content-Type: application/json\r\n"
    return b"POST /api/dev/session HTTP/1.1\r\n" + HOST + kind + fields + b"\r\n" + body


def flooded(server: Container, start: bytes, piece: bytes) -> tuple[bytes, int]:
    """What comes back to a client that sends `piece` without end, and how much it could send."""
    sent = 0
    with connected(server) as connection:
        connection.sendall(start)
        try:
            while sent < 100 * MEGABYTE:
                connection.sendall(piece)
                sent += len(piece)
        except OSError:
            pass
        try:
            return connection.recv(65_536), sent
        except OSError:
            return b"", sent


def trickled(server: Container, start: bytes) -> tuple[bytes, float]:
    """What comes to a client that sends a byte every 50 ms after `start`, and when, in s."""
    began = monotonic()
    with connected(server) as connection:
        connection.sendall(start)
        connection.settimeout(0.05)
        while monotonic() - began < LONG_S:
            try:
                return connection.recv(65_536), monotonic() - began
            except TimeoutError:
                connection.sendall(b"a")
    raise AssertionError("nothing came")


def test_a_url_beyond_its_limit_is_414(server: Container) -> None:
    """The limit is exact, and the refusal is a problem that says what to do."""
    path = b"/api/health/live?"
    longest = path + b"a" * (URL_BYTES - len(path))

    answer = asked(server, get(longest + b"a"))

    assert asked(server, get(longest)).status == 200
    assert (answer.status, answer.problem["code"]) == (414, "url-too-long")
    assert answer.problem["remediation"]
    assert "connection: close" in answer.head


@pytest.mark.parametrize(
    "fields",
    [b"X-Big: " + b"a" * HEAD_BYTES + b"\r\n", b"a: b\r\n" * (HEAD_BYTES // 6 + 1)],
    ids=["one long field", "many short fields"],
)
def test_a_head_beyond_its_limit_is_431(server: Container, fields: bytes) -> None:
    answer = asked(server, get(fields=fields))

    assert (answer.status, answer.problem["code"]) == (431, "head-too-large")


def test_a_head_within_its_limit_is_served(server: Container) -> None:
    fields = b"X-Big: " + b"a" * (HEAD_BYTES - 200) + b"\r\n"

    assert asked(server, get(fields=fields)).status == 200


@pytest.mark.parametrize(
    ("start", "piece"),
    [
        (b"GET /", b"a" * 65_536),
        (b"GET / HTTP/1.1\r\nX-Big: ", b"a" * 65_536),
        (b"GET / HTTP/1.1\r\n", b"a: b\r\n" * 10_000),
        (b"", b"\r\n" * 32_768),
        (post(b"Transfer-Encoding: chunked\r\n", b"0\r\nX-Big: "), b"a" * 65_536),
        (post(b"Transfer-Encoding: chunked\r\n", b"0\r\n"), b"a: b\r\n" * 10_000),
        (post(b"Transfer-Encoding: chunked\r\n", b"1;"), b"a" * 65_536),
    ],
    ids=["URL", "field", "fields", "blank lines", "trailer", "trailers", "extension of a chunk"],
)
def test_what_has_no_end_is_cut_off_and_takes_no_memory(
    server: Container, start: bytes, piece: bytes
) -> None:
    """One anonymous connection must not fill the process."""
    before = server.rss_bytes

    came, _ = flooded(server, start, piece)

    assert server.rss_bytes - before < 10 * MEGABYTE
    assert came == b"" or came.split()[1] in {b"400", b"413", b"414", b"431"}
    assert asked(server, get()).status == 200


@pytest.mark.parametrize("start", [b"GET /", b"GET / HTTP/1.1\r\nX-Slow: "], ids=["URL", "field"])
def test_a_head_that_does_not_end_in_time_is_408(server: Container, start: bytes) -> None:
    """Bytes that trickle do not prolong the time."""
    came, after_s = trickled(server, start)

    assert b" 408 " in came.split(b"\r\n")[0]
    assert b'"request-timed-out"' in came
    assert after_s < LONG_S


@pytest.mark.parametrize(
    "framing", [b"Content-Length: 5000\r\n", b"Transfer-Encoding: chunked\r\n"]
)
def test_a_body_that_does_not_end_in_time_is_408(server: Container, framing: bytes) -> None:
    start = post(framing, b"1000\r\n" if b"chunked" in framing else b"")

    came, after_s = trickled(server, start)

    assert b" 408 " in came.split(b"\r\n")[0]
    assert b'"request-timed-out"' in came
    assert after_s < LONG_S


def test_a_body_that_nobody_reads_any_more_does_not_hold_its_connection(server: Container) -> None:
    """The answer has gone out, and what still trickles in is for nobody."""
    with connected(server) as connection:
        connection.sendall(b"POST /nowhere HTTP/1.1\r\n" + HOST + b"Content-Length: 5000\r\n\r\na")
        assert answer_of(connection).status == 404
        assert connection.recv(1) == b""


@pytest.mark.parametrize("start", [b"HTTP/1.1\r\nConnection: close\r\n", b"HTTP/1.0\r\n"])
def test_who_sends_all_of_a_body_first_gets_the_answer_that_did_not_wait_for_it(
    server: Container, start: bytes
) -> None:
    """The connection ends after it, and ended at once it would delete what it said."""
    body = b"x" * 9 * MEGABYTE
    length = f"Content-Length: {len(body)}\r\n".encode()

    with connected(server) as connection:
        connection.sendall(b"POST /nowhere " + start + HOST + length + b"\r\n" + body)
        answer = answer_of(connection)
        assert connection.recv(1) == b""

    assert answer.status == 404
    assert "connection: close" in answer.head


def test_the_rest_of_a_body_that_nobody_reads_is_not_waited_for_without_end(
    server: Container,
) -> None:
    head = HOST + b"Connection: close\r\nContent-Length: 5000\r\n\r\n"
    began = monotonic()
    with connected(server) as connection, pytest.raises(ConnectionError):
        connection.sendall(b"POST /nowhere HTTP/1.1\r\n" + head)
        assert answer_of(connection).status == 404
        while monotonic() - began < LONG_S:
            connection.sendall(b"a")


def test_a_connection_that_says_nothing_is_closed_without_a_word(server: Container) -> None:
    """A browser would show an answer that nobody asked for."""
    with connected(server) as connection:
        assert connection.recv(1) == b""


def test_a_stream_outlives_the_deadlines(server: Container) -> None:
    """They are for what the client sends: an answer under way is not cut."""
    head = f"Authorization: Bearer {server.token()}\r\nAccept: text/event-stream\r\n".encode()
    began = monotonic()
    with connected(server) as connection:
        connection.sendall(get(b"/api/events?topic=public:x", head) + b"GET /half")
        connection.settimeout(0.1)
        while monotonic() - began < 4 * TIMEOUT_S:
            try:
                assert connection.recv(65_536) != b""
            except TimeoutError:
                continue


def test_requests_on_one_connection_have_a_deadline_each(server: Container) -> None:
    """An idle connection between two requests is kept."""
    began = monotonic()
    with connected(server) as connection:
        while monotonic() - began < 3 * TIMEOUT_S:
            connection.sendall(get())
            assert answer_of(connection).status == 200
            connection.settimeout(TIMEOUT_S * 0.7)
            with pytest.raises(TimeoutError):
                connection.recv(1)
            connection.settimeout(LONG_S)


def test_more_requests_at_once_than_may_wait_are_refused(server: Container) -> None:
    """Each that waits for the one before it costs a hundred times its bytes."""
    with connected(server) as connection:
        connection.sendall(get() * 5000)
        came = b""
        try:
            while part := connection.recv(65_536):
                came += part
        except ConnectionResetError:
            pass  # the server closed, and more of ours was still on its way

    assert came.count(b"HTTP/1.1 200") <= 17


def test_a_stream_with_a_request_behind_it_ends_with_its_connection(
    upstash_server: UpstashServer,
) -> None:
    """Whoever sends a request ahead and leaves must not keep a stream, nor its lease."""
    container = Container(upstash_server, job_workers=0, keep_alive_s=1).start()
    try:
        head = f"Authorization: Bearer {container.token()}\r\n".encode()
        with connected(container) as connection:
            stream = get(b"/api/events?topic=public:x", head + b"Accept: text/event-stream\r\n")
            connection.sendall(stream + get())
            assert b"text/event-stream" in connection.recv(65_536)
        deadline = monotonic() + LONG_S
        while b"open_streams 0" not in asked(container, get(b"/api/metrics", head)).body:
            assert monotonic() < deadline
    finally:
        container.stop()

    assert "Traceback" not in container.complaints, container.complaints


@pytest.mark.parametrize("name", [b"h2c", None])
def test_a_refusal_behind_requests_that_are_being_answered_breaks_none_of_them(
    upstash_server: UpstashServer, name: bytes | None
) -> None:
    """Their answers are for nobody, and no failure that belongs into the log."""
    container = Container(upstash_server, job_workers=0).start()
    try:
        offer = b"Connection: Upgrade\r\nUpgrade: %b\r\n" % name if name else b""
        with connected(container) as connection:
            connection.sendall(get(b"/api/health", offer) * 100)
            connection.settimeout(LONG_S)
            with suppress(ConnectionResetError):
                while connection.recv(65_536):
                    pass
        assert asked(container, get()).status == 200
    finally:
        container.stop()

    assert "Traceback" not in container.complaints, container.complaints


def test_what_is_not_http_is_a_problem(server: Container) -> None:
    answer = asked(server, b"\x16\x03\x01\x02\x00\r\n\r\n")

    assert (answer.status, answer.problem["code"]) == (400, "bad-request")


def test_trailers_do_not_pass_for_headers(server: Container) -> None:
    """Who calls is read from the head alone, also when the body comes first."""
    fields = b"Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n"
    trailer = f"0\r\nAuthorization: Bearer {server.token()}\r\n\r\n".encode()

    start = b"POST /api/events HTTP/1.1\r\n" + HOST + fields + b"\r\n"
    answer = asked(server, start + b"2\r\n{}\r\n" + trailer)

    assert answer.status == 401


def test_connections_beyond_the_limit_are_told_to_come_back(
    upstash_server: UpstashServer,
) -> None:
    """One that is closed makes room."""
    container = Container(upstash_server, job_workers=0, max_connections=2).start()
    try:
        with connected(container) as first, connected(container) as second:
            for one in (first, second):
                one.sendall(get())
                assert answer_of(one).status == 200
            with connected(container) as third:
                answer = answer_of(third)
            second.close()
            deadline = monotonic() + LONG_S
            while asked(container, get()).status != 200:
                assert monotonic() < deadline
    finally:
        container.kill()

    assert (answer.status, answer.problem["code"]) == (503, "too-many-connections")
    assert "retry-after: 2" in answer.head


@pytest.mark.parametrize("rest", [(), (BODY,)], ids=["in one piece", "the body apart"])
def test_an_offer_of_http_2_is_ignored_and_the_body_read(
    server: Container, rest: tuple[bytes, ...]
) -> None:
    """Java's HttpClient makes it on every request (RFC 9110, 7.8: a server may ignore it)."""
    answer = asked(server, *((JAVA, *rest) if rest else (JAVA + BODY,)))

    assert (answer.status, list(json.loads(answer.body))) == (201, ["token"])
    assert "upgrade" not in answer.head


def test_after_an_offer_of_http_2_the_connection_serves_on(server: Container) -> None:
    """The next request may stand right behind, and may make the offer again."""
    with connected(server) as connection:
        for _ in range(2):
            connection.sendall(JAVA + BODY)
            assert answer_of(connection).status == 201
        connection.sendall(JAVA.replace(b"Length: 14", b"Length: 0") + get())
        assert answer_of(connection).status in {400, 422}


@pytest.mark.parametrize("name", [b"websocket", b"h2c", b"TLS/1.0"])
def test_whatever_protocol_is_offered_a_chunked_body_is_read(
    server: Container, name: bytes
) -> None:
    fields = b"Connection: keep-alive, Upgrade\r\nUpgrade: %b\r\n" % name
    chunked = post(fields + b"Transfer-Encoding: chunked\r\n", b"e\r\n" + BODY + b"\r\n0\r\n\r\n")

    assert asked(server, chunked).status == 201


def test_an_offer_does_not_lift_the_limits(server: Container) -> None:
    """The body behind it has its deadline, and the head its size."""
    came, _ = trickled(server, JAVA)

    assert b" 408 " in came.split(b"\r\n")[0]
    assert asked(server, JAVA[:-2] + b"X-Big: " + b"a" * HEAD_BYTES + b"\r\n\r\n").status == 431


@pytest.mark.skipif(not shutil.which("curl"), reason="curl is not installed")
def test_curl_with_http2_is_served(server: Container) -> None:
    """The real client, with the option that makes the offer."""
    answer = subprocess.run(
        [
            *("curl", "--silent", "--show-error", "--http2", "--max-time", "10"),
            *("--write-out", " %{http_code}", "--json", BODY.decode()),
            f"{server.url}/api/dev/session",
        ],
        capture_output=True,
        check=True,
        timeout=20,
    ).stdout

    assert answer.startswith(b'{"token"')
    assert answer.endswith(b" 201")
