"""Failures in the form in which the Runtime API takes them."""

import base64
import json
from dataclasses import dataclass
from traceback import walk_tb
from typing import Self

TYPE = "Lambda-Runtime-Function-Error-Type"
BODY = "Lambda-Runtime-Function-Error-Body"
FRAMES = 16


@dataclass(frozen=True, slots=True)
class Failure:
    """A failure of the `kind` `Category.Reason`.

    Callers may see all of it, so it never holds the text of an exception.
    """

    kind: str
    message: str
    frames: tuple[str, ...] = ()

    @classmethod
    def of(cls, error: BaseException, *, category: str = "Function", reason: str = "") -> Self:
        """The failure that an exception is. Without a `reason` it is the exception's name."""
        frames = [
            f"{frame.f_code.co_filename}:{line} {frame.f_code.co_name}"
            for frame, line in walk_tb(error.__traceback__)
        ]
        name = type(error).__name__
        return cls(f"{category}.{reason or name}", f"{name}; see the log", tuple(frames[-FRAMES:]))

    def json(self) -> bytes:
        content = {"errorMessage": self.message, "errorType": self.kind, "stackTrace": self.frames}
        return json.dumps(content).encode()

    def trailers(self) -> bytes:
        """The trailers that report it: after a response has begun nothing else can."""
        body = base64.b64encode(self.json()).decode()
        return f"{TYPE}: {self.kind}\r\n{BODY}: {body}\r\n".encode()


CUT = Failure("Function.DeadlineReached", "The response was cut before the invocation's deadline")
UNANSWERED = Failure("Function.NoResponse", "The application returned without a whole response")
