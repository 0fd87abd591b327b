"""The commands `millrace publish` and `millrace tail`: publish an event, and print events."""

import time
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any
from urllib.parse import quote

import rich_click as click

from api.cli.client import ApiClient
from api.cli.options import JsonText, as_json, calls_the_api, patience, patient
from api.cli.patience import Patience
from api.cli.text import line, readable

WAIT_S = 20
# So that events that come in a burst share an answer.
BURST_PAUSE_S = 0.1


@click.command()
@click.argument("topic")
@click.argument("type_", metavar="TYPE")
@click.argument("data", type=JsonText())
@click.option("--idempotency-key", help="Stores the event once, however often it is sent.")
@as_json
@calls_the_api
def publish(
    client: ApiClient,
    *,
    topic: str,
    type_: str,
    data: Any,
    idempotency_key: str | None,
    as_json: bool,
) -> None:
    """Publish one event. DATA is JSON, or - to read it from stdin; prints the event's id."""
    headers = {"Idempotency-Key": idempotency_key} if idempotency_key else {}
    body = {"type": type_, "data": data}
    path = f"/api/events/{quote(topic, safe=':')}"
    answer = client.call("POST", path, body=body, headers=headers).json()
    line(answer) if as_json else click.echo(answer["id"])


@click.command()
@click.argument("topics", nargs=-1, required=True)
@click.option("--types", help="Only these event types, comma separated.")
@click.option("--history", type=int, default=0, help="Start with so many of the newest events.")
@as_json
@patient
@calls_the_api
def tail(
    client: ApiClient,
    *,
    topics: tuple[str, ...],
    types: str | None,
    history: int,
    as_json: bool,
    patience_s: float,
) -> None:
    """Print the events of TOPICS as they come, until Ctrl-C, also across restarts of the server."""
    show = line if as_json else _show
    for one in _follow(client, topics, types, history, patience(patience_s)):
        show(one)


def _follow(
    client: ApiClient,
    topics: Sequence[str],
    types: str | None,
    history: int,
    patience: Patience,
) -> Iterator[dict[str, Any]]:
    """Yield the events, and `{"reset": …}` where some are gone for good."""
    wanted: dict[str, Any] = {"topic": list(topics), "types": types, "history": history}
    # The first answer is not held: it says where to go on, so no later event is missed.
    answer = patience.ask(partial(_read, client, wanted))
    while True:
        yield from ({"reset": reset} for reset in answer["reset"] or ())
        yield from answer["events"]
        if answer["events"] and answer["poll_after_ms"]:
            time.sleep(BURST_PAUSE_S)
        wanted = {**wanted, "history": None, "cursor": answer["cursor"], "wait": WAIT_S}
        answer = patience.ask(partial(_read, client, wanted))


def _read(client: ApiClient, wanted: dict[str, Any]) -> Any:
    return client.call("GET", "/api/events", params=wanted, wait_s=WAIT_S).json()


def _show(one: dict[str, Any]) -> None:
    if reset := one.get("reset"):
        where = " ".join(reset["topics"])
        click.echo(f"reset ({reset['reason']}): events of {where} are gone", err=True)
        return
    data = click.style(readable(one["data"]), fg="cyan")
    click.echo(f"{one['time']}  {one['topic']}  {one['type']}  {data}")
