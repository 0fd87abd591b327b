"""Event streams: the messages of channels for clients without a WebSocket.

Source: https://ably.com/docs/protocols/sse
"""

from __future__ import annotations

from collections.abc import Callable

from infra.local.ably.apps import App
from infra.local.ably.channel.attachment import rewind
from infra.local.ably.channel.channel import Channel, Entry
from infra.local.ably.keys_and_tokens.keys import Grant
from infra.local.ably.messages import Message
from infra.local.ably.protocol import AblyError, Action, Format, Frame, Mode, bad_request, encode
from infra.local.ably.rest.request import Request

PATHS = {("sse",), ("event-stream",)}
_KEEPALIVE_MS = 15_000


class EventStream:
    """One stream of several channels. It holds its text until somebody takes it."""

    def __init__(self, app: App, grant: Grant, request: Request) -> None:
        """Raises AblyError without a channel, for one that is not allowed, or for a bad rewind."""
        query = request.query
        listed = query.get("channels", query.get("channel", ""))
        names = [name for name in listed.split(query.get("separator", ",")) if name]
        if not names:
            raise bad_request("channels: at least one is needed")
        for name in names:
            grant.require("subscribe", name)
        self.is_ended = False
        self._app = app
        self._grant = grant
        self._is_enveloped = query.get("enveloped") != "false"
        self._text: list[bytes] = [b":ok\n\n"]
        self._wake: Callable[[], None] = lambda: None
        self._spoke_ms = app.clock.now_ms()
        last = request.headers.get("last-event-id") or query.get("lastEvent")
        self._heard = [_Heard(app.channels.get(name), self._write_frame) for name in names]
        missed = [
            entry
            for heard in self._heard
            for entry in heard.missed(last, query.get("rewind"), self._spoke_ms)
        ]
        # One position is enough for all channels, because their serials stand in one order.
        for entry in sorted(missed, key=lambda one: one.serial):
            self._write_frame(entry.frame)
        for heard in self._heard:
            app.channels.attach(heard)
        app.streams.add(self)

    def on_news(self, wake: Callable[[], None]) -> None:
        """Call `wake` from now on when there is text, or the end."""
        self._wake = wake
        wake()

    def take(self) -> bytes:
        """Remove and return the text that is to be sent."""
        text, self._text = b"".join(self._text), []
        return text

    def tick(self, now_ms: int) -> None:
        """Send a keep-alive when it is due. End the stream when its token is no longer good."""
        try:
            self._app.tokens.check(self._grant)
        except AblyError as error:
            self._write(b"event: error\ndata: " + encode(error.info(), Format.JSON) + b"\n\n")
            self.end()
            return
        if now_ms - self._spoke_ms >= _KEEPALIVE_MS:
            self._write(b":keepalive\n\n")

    def end(self) -> None:
        if not self.is_ended:
            self.is_ended = True
            self._app.streams.discard(self)
            for heard in self._heard:
                self._app.channels.release(heard)
            self._wake()

    def _write(self, text: bytes) -> None:
        self._text.append(text)
        self._spoke_ms = self._app.clock.now_ms()
        self._wake()

    def _write_frame(self, frame: Frame) -> None:
        channel = frame["channel"]
        events = [b"event: message\n" + self._data(channel, one) for one in frame["messages"]]
        # All messages of a frame have one position: only the last of them may name it.
        events[-1] = b"id: " + str(frame["channelSerial"]).encode() + b"\n" + events[-1]
        self._write(b"\n\n".join(events) + b"\n\n")

    def _data(self, channel: str, message: Message) -> bytes:
        if self._is_enveloped:
            return b"data: " + encode(message | {"channel": channel}, Format.JSON)
        bare = message.get("data", "")
        text = bare if isinstance(bare, bytes) else str(bare).encode()
        return b"\n".join(b"data: " + line for line in text.split(b"\n"))


class _Heard:
    """A listener for one channel of a stream."""

    modes = Mode.SUBSCRIBE

    def __init__(self, channel: Channel, write: Callable[[Frame], None]) -> None:
        self.channel = channel
        self._write = write

    def hear(self, frame: Frame) -> None:
        if frame["action"] == Action.MESSAGE:
            self._write(frame)

    def missed(self, last: str | None, wanted: str | None, now_ms: int) -> list[Entry]:
        if last is None:
            return rewind(self.channel, wanted, now_ms)
        return [one for one in self.channel.after(last) or [] if not one.is_presence]
