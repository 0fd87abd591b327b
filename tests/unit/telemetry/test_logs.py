"""Logs are events with fields, one JSON object a line, and quote nothing that fails."""

from __future__ import annotations

import json
import logging
from typing import Any

import pytest
import structlog

from api.telemetry.logs import REQUEST_ID
from tests.unit.telemetry.conftest import Configure

log = structlog.get_logger()


def fail() -> None:
    cause = ValueError("token=abc")
    raise ExceptionGroup("payload", [KeyError("cookie")]) from cause


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    captured = capsys.readouterr()
    assert captured.out == ""
    return [json.loads(line) for line in captured.err.splitlines()]


def test_an_event_is_one_line_of_json(
    configure: Configure, capsys: pytest.CaptureFixture[str]
) -> None:
    configure()

    log.info("stream.closed", reason="rotate", topic_count=3)

    (line,) = lines(capsys)
    assert line.pop("time").endswith("Z")
    assert line == {
        "level": "info",
        "event": "stream.closed",
        "reason": "rotate",
        "topic_count": 3,
    }


def test_the_standard_library_logs_in_the_same_form(
    configure: Configure, capsys: pytest.CaptureFixture[str]
) -> None:
    configure()

    logging.getLogger("uvicorn.error").warning("Invalid %s", "request")

    (line,) = lines(capsys)
    assert (line["event"], line["level"]) == ("Invalid request", "warning")
    assert line["logger"] == "uvicorn.error"


def test_what_fails_is_named_by_type_and_place_only(
    configure: Configure, capsys: pytest.CaptureFixture[str]
) -> None:
    configure()
    try:
        fail()
    except ExceptionGroup:
        log.exception("request.failed")
        logging.getLogger("asyncio").exception("unhandled")

    for line in lines(capsys):
        assert line["error"] == "ExceptionGroup < KeyError < ValueError"
        assert line["frames"][0].endswith("test_what_fails_is_named_by_type_and_place_only")
        assert not {"token=abc", "payload", "cookie"} & set(json.dumps(line).split('"'))
        assert "exc_info" not in line


def test_the_level_is_a_setting(configure: Configure, capsys: pytest.CaptureFixture[str]) -> None:
    configure(log_level="warning")

    log.info("stream.closed")
    logging.getLogger("any").info("text")

    assert lines(capsys) == []


def test_http_clients_do_not_log_their_urls(
    configure: Configure, capsys: pytest.CaptureFixture[str]
) -> None:
    configure(log_level="debug")

    logging.getLogger("httpx").info("HTTP Request: POST https://redis.example")

    assert lines(capsys) == []


def test_the_request_id_is_on_every_line_of_a_request(
    configure: Configure, capsys: pytest.CaptureFixture[str]
) -> None:
    configure()

    REQUEST_ID.set("request-1")
    log.info("one")
    REQUEST_ID.set(None)
    log.info("two")

    one, two = lines(capsys)
    assert one["request_id"] == "request-1"
    assert "request_id" not in two


def test_a_field_of_any_type_is_logged(
    configure: Configure, capsys: pytest.CaptureFixture[str]
) -> None:
    configure()

    log.info("odd", value={1, 2}, other=object)

    assert lines(capsys)[0]["other"].startswith("<class")


@pytest.mark.parametrize("value", ["a\udcff", {"deep": ["\ud800"]}, {1.5j: 1}])
def test_a_value_that_json_cannot_hold_is_logged_all_the_same(
    value: object, configure: Configure, capsys: pytest.CaptureFixture[str]
) -> None:
    """What a client sent may be in it, and a log line must not fail a request."""
    configure()

    log.info("odd", value=value)

    (line,) = lines(capsys)
    assert "odd" in line["event"]
    assert line["value"]


def test_local_mode_is_for_reading(
    configure: Configure, capsys: pytest.CaptureFixture[str]
) -> None:
    configure(env="local")
    local_variable = "a-token-of-somebody"
    try:
        int(f"not {local_variable[0]} number")
    except ValueError:
        log.exception("request.failed")

    text = capsys.readouterr().err
    assert "request.failed" in text
    assert "ValueError: invalid literal" in text
    assert local_variable not in text.replace(f'local_variable = "{local_variable}"', "")
