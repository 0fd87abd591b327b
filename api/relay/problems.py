"""The problems that the relay alone has."""

from api.problems import NotFound


class UnknownSource(NotFound):
    """No upstream of this name is set."""

    code = "unknown-source"
    title = "There is no source of this name"
    remediation = "Use a name of MILLRACE_RELAY_SOURCES."
