"""The frames that a connection still has to send on its socket."""

from __future__ import annotations

from collections.abc import Callable

from infra.local.ably.protocol import Frame


class Outbox:
    """Frames in their order, and the end. `wake` is called when one of them is added."""

    def __init__(self, wake: Callable[[], None] = lambda: None) -> None:
        self._frames: list[Frame] = []
        self._wake = wake
        self.is_ended = False

    def put(self, frame: Frame) -> None:
        """Add a frame. After the end nothing is added."""
        if not self.is_ended:
            self._frames.append(frame)
            self._wake()

    def end(self) -> None:
        """Let the socket be closed when all frames are sent."""
        self.is_ended = True
        self._wake()

    def take(self) -> list[Frame]:
        """Remove and return all frames."""
        frames, self._frames = self._frames, []
        return frames
