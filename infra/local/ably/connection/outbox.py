"""What a connection has to say next, between the protocol and its socket."""

from __future__ import annotations

from collections.abc import Callable

from infra.local.ably.protocol import Frame


class Outbox:
    """Frames in order, then perhaps the end. `wake` is called when there is something new."""

    def __init__(self, wake: Callable[[], None] = lambda: None) -> None:
        self._frames: list[Frame] = []
        self._wake = wake
        self.is_ended = False

    def put(self, frame: Frame) -> None:
        """Nothing is said after the end."""
        if not self.is_ended:
            self._frames.append(frame)
            self._wake()

    def end(self) -> None:
        """Close the socket once what was put is sent."""
        self.is_ended = True
        self._wake()

    def take(self) -> list[Frame]:
        """All that waits to be sent."""
        frames, self._frames = self._frames, []
        return frames
