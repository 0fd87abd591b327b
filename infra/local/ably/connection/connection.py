"""One Realtime connection: it takes frames and sends frames, without I/O.

It outlives its sockets: a client that lost one resumes with the connection's key.
Source: https://sdk.ably.com/builds/ably/specification/main/features
"""

from __future__ import annotations

import secrets
from collections.abc import Callable

from infra.local.ably.channel.attachment import Attachment, asked_modes, known_params, permitted
from infra.local.ably.channel.channel import Channels
from infra.local.ably.clock import Clock
from infra.local.ably.connection.outbox import Outbox
from infra.local.ably.keys_and_tokens.keys import ANY_CLIENT, Grant
from infra.local.ably.keys_and_tokens.tokens import Tokens
from infra.local.ably.messages import MAX_BYTES, publishable
from infra.local.ably.presence import left, said
from infra.local.ably.protocol import AblyError, Action, Frame, Mode, not_mutable

STATE_TTL_MS = 120_000
LEAVE_AFTER_MS = 15_000
MAX_IDLE_MS = 15_000
_HEARTBEAT_MS = 10_000
_PROMPT_MS = 30_000
_TOO_LATE_TO_PROMPT_MS = 5_000


class Connection:
    """The state of one client: its identity, its attachments, and its socket if it has one."""

    def __init__(
        self,
        *,
        channels: Channels,
        tokens: Tokens,
        clock: Clock,
        grant: Grant,
        outbox: Outbox,
        is_echoed: bool,
    ) -> None:
        self.id = secrets.token_hex(5)
        self.key = f"{self.id}!{secrets.token_urlsafe(12)}"
        self.grant = grant
        self.attachments: dict[str, Attachment] = {}
        self.is_over = False
        self._channels = channels
        self._tokens = tokens
        self._clock = clock
        self._outbox: Outbox | None = outbox
        self._is_echoed = is_echoed
        self._dropped_ms: int | None = None
        self._spoke_ms = clock.now_ms()
        self._is_prompted = False

    @property
    def is_live(self) -> bool:
        return self._outbox is not None

    def welcome(self, error: AblyError | None = None) -> None:
        """Send CONNECTED. `error` says why the connection could not be resumed."""
        details = {
            "clientId": self.grant.client_id,
            "connectionKey": self.key,
            "maxMessageSize": MAX_BYTES,
            "maxFrameSize": 4 * MAX_BYTES,
            "connectionStateTtl": STATE_TTL_MS,
            "maxIdleInterval": MAX_IDLE_MS,
            "serverId": "local",
        }
        frame: Frame = {
            "action": int(Action.CONNECTED),
            "connectionId": self.id,
            "connectionDetails": {name: one for name, one in details.items() if one is not None},
        }
        self.send(frame if error is None else frame | {"error": error.info()})

    def send(self, frame: Frame) -> None:
        if self._outbox is not None:
            self._spoke_ms = self._clock.now_ms()
            self._outbox.put(frame)

    def receive(self, frame: Frame) -> None:
        """Take one frame of the client. Unknown actions are ignored, as Ably does."""
        handlers: dict[object, Callable[[Frame], None]] = {
            Action.HEARTBEAT: self._echo_heartbeat,
            Action.ATTACH: self._attach,
            Action.DETACH: self._detach,
            Action.MESSAGE: self._publish,
            Action.PRESENCE: self._announce,
            Action.SYNC: self._sync,
            Action.AUTH: self._authorize,
            Action.ANNOTATION: self._annotate,
            Action.CLOSE: self._close,
            Action.DISCONNECT: self._drop,
        }
        if (handle := handlers.get(frame.get("action"))) is not None:
            handle(frame)

    def resume(self, grant: Grant, outbox: Outbox) -> None:
        """Continue on a new socket. The client attaches again, and says what it has seen."""
        if self._outbox is not None:
            self._outbox.end()
        self._let_go()
        self._outbox, self._dropped_ms = outbox, None
        self.grant, self._is_prompted = grant, False

    def dropped(self, outbox: Outbox) -> None:
        """Note that this socket is gone. Nothing happens if the connection has another by now."""
        if self._outbox is outbox:
            self._outbox, self._dropped_ms = None, self._clock.now_ms()
            self._let_go()

    def disconnect(self, error: AblyError) -> None:
        """Send the error and close the socket. The client may resume with a better token."""
        self.send({"action": int(Action.DISCONNECTED), "error": error.info()})
        self.cut()

    def cut(self) -> None:
        """Close the socket without sending anything."""
        if self._outbox is not None:
            self._outbox.end()
            self.dropped(self._outbox)

    def tick(self, now_ms: int) -> None:
        """Do what is due at this time."""
        if self._dropped_ms is not None:
            self._age(now_ms - self._dropped_ms)
            return
        try:
            self._tokens.check(self.grant)
        except AblyError as error:
            self.disconnect(error)
            return
        if self._should_prompt(now_ms):
            self._is_prompted = True
            self.send({"action": int(Action.AUTH)})
        elif now_ms - self._spoke_ms >= _HEARTBEAT_MS:
            # A frame and not a ping: neither browsers nor ably-python see pings.
            self.send({"action": int(Action.HEARTBEAT)})
        for attachment in self.attachments.values():
            attachment.tell_occupancy(now_ms)

    def _age(self, away_ms: int) -> None:
        if away_ms >= LEAVE_AFTER_MS:
            self._leave_all()
        if away_ms >= STATE_TTL_MS:
            self.is_over = True

    def _should_prompt(self, now_ms: int) -> bool:
        if self.grant.expires_ms is None or self._is_prompted:
            return False
        left_ms = self.grant.expires_ms - now_ms
        is_announced = self._tokens.revocations.is_announced(self.grant)
        return _TOO_LATE_TO_PROMPT_MS < left_ms <= _PROMPT_MS or is_announced

    def _echo_heartbeat(self, frame: Frame) -> None:
        answer: Frame = {"action": int(Action.HEARTBEAT)}
        self.send(answer | ({"id": frame["id"]} if frame.get("id") else {}))

    def _attach(self, frame: Frame) -> None:
        name = frame.get("channel", "")
        try:
            params = known_params(frame)
            asked = asked_modes(frame, params)
            modes = permitted(asked, self.grant, name)
            channel = self._channels.get(name)
        except AblyError as error:
            self._fail(name, error)
            return
        self._release(name)
        is_echoed = self._is_echoed and params.get("echo") != "false"
        attachment = Attachment(channel, self.id, asked, modes, params, is_echoed, self.send)
        self.attachments[name] = attachment
        attachment.begin(frame, self._clock.now_ms())
        self._channels.attach(attachment)

    def _detach(self, frame: Frame) -> None:
        name = frame.get("channel", "")
        self._leave(name)
        self._release(name)
        self.send({"action": int(Action.DETACHED), "channel": name})

    def _publish(self, frame: Frame) -> None:
        def publish(name: str, prefix: str) -> Frame:
            self.grant.require("publish", name)
            self._require_mode(name, Mode.PUBLISH)
            messages = [self.grant.stamped(one) for one in publishable(frame.get("messages"))]
            channel = self._channels.get(name)
            serials = channel.publish(messages, prefix=prefix, connection_id=self.id)
            return {"res": [{"serials": serials}]}

        self._answer(frame, publish)

    def _announce(self, frame: Frame) -> None:
        def announce(name: str, prefix: str) -> Frame:
            self.grant.require("presence", name)
            if name not in self.attachments:
                raise AblyError(91001, 400, "attach to the channel first")
            self._require_mode(name, Mode.PRESENCE)
            now_ms = self._clock.now_ms()
            events = said(frame.get("presence"), self.grant, self.id, prefix, now_ms)
            self._channels.get(name).announce(events, prefix=prefix, connection_id=self.id)
            return {}

        self._answer(frame, announce)

    def _annotate(self, frame: Frame) -> None:
        # It must be answered: the SDK would wait without end.
        nack = {"action": int(Action.NACK), "msgSerial": frame.get("msgSerial", 0), "count": 1}
        self.send(nack | {"error": not_mutable().info()})

    def _answer(self, frame: Frame, act: Callable[[str, str], Frame]) -> None:
        serial = frame.get("msgSerial", 0)
        answer: Frame = {"msgSerial": serial, "count": 1}
        try:
            # Sent again after a resume it has the same id, by which the channel recognises it.
            result = act(frame.get("channel", ""), f"{self.id}:{serial}")
        except AblyError as error:
            self.send({"action": int(Action.NACK), "error": error.info()} | answer)
            return
        self.send({"action": int(Action.ACK)} | answer | result)

    def _sync(self, frame: Frame) -> None:
        if (attachment := self.attachments.get(frame.get("channel", ""))) is not None:
            attachment.sync()

    def _authorize(self, frame: Frame) -> None:
        token = str(frame.get("auth", {}).get("accessToken"))
        try:
            grant = self._same_client(self._tokens.grant_of(token))
        except AblyError as error:
            self._refuse(error)
            return
        self.grant, self._is_prompted = grant, False
        for name, attachment in list(self.attachments.items()):
            try:
                attachment.modes = permitted(attachment.asked, grant, name)
            except AblyError as error:
                self._leave(name)
                self._release(name)
                self._fail(name, error)
        self.welcome()

    def _same_client(self, grant: Grant) -> Grant:
        if grant.client_id not in {ANY_CLIENT, self.grant.client_id}:
            raise AblyError(40102, 401, "the new token is for another clientId")
        return grant

    def _close(self, _: Frame) -> None:
        self._leave_all()
        self.send({"action": int(Action.CLOSED)})
        self.cut()
        self.is_over = True

    def _drop(self, _: Frame) -> None:
        """Close the socket for a client that will come back on another one."""
        self.cut()

    def _refuse(self, error: AblyError) -> None:
        self._leave_all()
        self.send({"action": int(Action.ERROR), "error": error.info()})
        self.cut()
        self.is_over = True

    def _fail(self, name: str, error: AblyError) -> None:
        self.send({"action": int(Action.ERROR), "channel": name, "error": error.info()})

    def _require_mode(self, name: str, mode: Mode) -> None:
        attachment = self.attachments.get(name)
        if attachment is not None and mode not in attachment.modes:
            raise AblyError(40165, 401, f"attached without the mode {mode.name}")

    def _leave_all(self) -> None:
        for channel in self._channels.all():
            self._leave(channel.name)

    def _leave(self, name: str) -> None:
        channel = self._channels.find(name)
        members = [] if channel is None else channel.members.of_connection(self.id)
        if channel is None or not members:
            return
        prefix, events = left(members, self._clock.now_ms())
        channel.announce(events, prefix=prefix)

    def _release(self, name: str) -> None:
        if (attachment := self.attachments.pop(name, None)) is not None:
            self._channels.release(attachment)

    def _let_go(self) -> None:
        for name in list(self.attachments):
            self._release(name)
