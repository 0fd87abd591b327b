"""The REST API: each request gets its reply at once.

Source: https://ably.com/docs/api/rest-api
"""

from __future__ import annotations

from infra.local.ably.apps import App, Apps
from infra.local.ably.channel.occupancy import status
from infra.local.ably.keys_and_tokens.keys import Grant
from infra.local.ably.messages import Message
from infra.local.ably.protocol import AblyError
from infra.local.ably.rest import paging
from infra.local.ably.rest.chat import chat
from infra.local.ably.rest.provision import create_app, delete_app
from infra.local.ably.rest.publishing import presence_batch, publish, publish_batch, summary
from infra.local.ably.rest.request import Reply, Request

_NOTHING = AblyError(40400, 404, "no such path")


class Rest:
    """Answers all paths but those of event streams."""

    def __init__(self, apps: Apps) -> None:
        self._apps = apps

    def answer(self, request: Request) -> Reply:
        """The reply to a request. Raises AblyError."""
        match request.method, request.path:
            case "GET", ("time",):
                return Reply(200, [self._apps.clock.now_ms()])
            case "POST", ("apps",):
                return create_app(self._apps, request)
            case "POST", ("keys", name, "requestToken"):
                return self._request_token(request, name)
        grant = self._apps.credentials.of_request(request.headers, request.query)
        match request.method, request.path:
            case "POST", ("keys", name, "revokeTokens"):
                return self._revoke(request, grant, name)
            case "DELETE", ("apps", app_id):
                return delete_app(self._apps, grant, app_id)
        return _of_app(request, grant, self._apps.of(grant))

    def _request_token(self, request: Request, name: str) -> Reply:
        basic = None
        if "authorization" in request.headers or "key" in request.query:
            basic = self._apps.credentials.of_request(request.headers, request.query)
        return Reply(201, self._apps.tokens.issue(name, request.object(), basic))

    def _revoke(self, request: Request, grant: Grant, name: str) -> Reply:
        if grant.key.name != name:
            raise AblyError(40133, 401, "tokens of a key are revoked with that key")
        now_ms = self._apps.clock.now_ms()
        results = self._apps.tokens.revocations.revoke(grant, request.object(), now_ms)
        # Connections with revoked tokens are cut before the reply, not at the next tick.
        self._apps.tick()
        return Reply(200, summary(results))


def _of_app(request: Request, grant: Grant, app: App) -> Reply:
    match request.method, request.path:
        case "POST", ("messages",):
            return publish_batch(request, grant, app)
        case "GET", ("presence",):
            return presence_batch(request, grant, app)
        case "GET", ("channels",):
            return _list(request, grant, app)
        case "GET", ("stats",):
            return Reply(200, [])
        case _, ("channels", name, *rest):
            return _of_channel(request, grant, app, name, tuple(rest))
        case _, ("chat", _, "rooms", room, *rest):
            return chat(request, grant, app, (room, *rest))
    raise _NOTHING


def _of_channel(
    request: Request, grant: Grant, app: App, name: str, rest: tuple[str, ...]
) -> Reply:
    match request.method, rest:
        case "POST", ("messages",):
            sent = publish(request.value(), grant, app, name)
            return Reply(201, {"channel": name} | sent.details)
        case "GET", ("messages" | "history" as word,):
            return _history(request, grant, app, name, word, is_presence=False)
        case "GET", ("presence", "history"):
            return _history(request, grant, app, name, "history", is_presence=True)
        case "GET", ("presence",):
            grant.require("subscribe", name)
            members = [one for one in app.channels.get(name).members.all() if _asked(one, request)]
            return paging.page(members, request.query, "presence")
        case "GET", ():
            grant.require("channel-metadata", name)
            return Reply(200, status(app.channels.get(name)))
    raise _NOTHING


def _history(
    request: Request, grant: Grant, app: App, name: str, word: str, *, is_presence: bool
) -> Reply:
    grant.require("history", name)
    channel = app.channels.find(name)
    kept = [] if channel is None else channel.history(is_presence=is_presence)
    found = [one for one in kept if not is_presence or _asked(one, request)]
    return paging.page(paging.within(found, request.query), request.query, word)


def _list(request: Request, grant: Grant, app: App) -> Reply:
    prefix = request.query.get("prefix", "")
    found = [
        channel
        for channel in app.channels.all()
        if channel.name.startswith(prefix)
        and grant.capability.allows("channel-metadata", channel.name)
    ]
    if request.query.get("by") == "id":
        return Reply(200, [channel.name for channel in found])
    return Reply(200, [status(channel) for channel in found])


def _asked(member: Message, request: Request) -> bool:
    return all(
        request.query.get(name) in {None, member[name]} for name in ("clientId", "connectionId")
    )
