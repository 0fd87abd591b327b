"""The problems that only requests to the relay are answered with."""

from api.problems import NotFound


class UnknownSource(NotFound):
    """Raised when `MILLRACE_RELAY_SOURCES` has no source of this name."""

    code = "unknown-source"
    title = "There is no source of this name"
    remediation = "Use a name of MILLRACE_RELAY_SOURCES."
