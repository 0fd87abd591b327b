"""Reads environment variables: which names are ours, and what a value means."""

import re
from collections.abc import Iterable, Mapping, MutableMapping
from difflib import get_close_matches
from typing import Final

OURS: Final = "MILLRACE_"  # the prefix of our settings
# Names that start like a setting of the application and are read by something else.
OTHERS: Final = frozenset(
    {
        *("MILLRACE_URL", "MILLRACE_TOKEN", "MILLRACE_USER"),  # the command `millrace`
        *("MILLRACE_UPSTASH_PORT", "MILLRACE_ABLY_PORT", "MILLRACE_LOCAL_DIR"),  # the local stack
        "MILLRACE_SSM_PREFIX",  # functions
        *("MILLRACE_UPSTREAM", "MILLRACE_LISTEN"),  # the nginx template
        *("MILLRACE_NO_SKIP", "MILLRACE_SOAK_SCHEDULES"),  # the tests
    }
)
# Kubernetes and Docker describe a service named "millrace" with such names in every container.
OF_A_SERVICE: Final = re.compile(
    r"\w+_SERVICE_HOST|\w+_SERVICE_PORT(_\w+)?|\w+_PORT_\d+_(TCP|UDP|SCTP)(_\w+)?", re.ASCII
)
LOOPBACK: Final = ("127.0.0.1", "localhost", "::1")


def value_of(environ: Mapping[str, str], name: str) -> str | None:
    """Return the value of `name` without white space around it; None if it is missing or blank."""
    return environ.get(name, "").strip() or None


def unknown_names(environ: Mapping[str, str], settings: Iterable[str]) -> list[str]:
    """Return a complaint for each name that starts with `MILLRACE_` but is not read by Millrace.

    `settings` are the names of the application's settings, in upper case. A name with a blank value
    is left out, because it sets nothing. A complaint names the most similar setting, if there is
    one.
    """
    known = OTHERS.union(settings)
    return [
        f"{name}: there is no such setting{_hint(name.upper(), known)}"
        for name in sorted(environ)
        if name.upper().startswith(OURS)
        and name.upper() not in known
        and value_of(environ, name)
        and not OF_A_SERVICE.fullmatch(name)
    ]


def _hint(name: str, known: Iterable[str]) -> str:
    nearest = get_close_matches(name, known, n=1, cutoff=0.8)
    if not nearest:
        return "; remove it (names that start with MILLRACE_ are for settings of Millrace)"
    return f"; the nearest one is {nearest[0]}"


def keep_loopback_from_proxies(environ: MutableMapping[str, str]) -> None:
    """Change NO_PROXY in `environ` so that HTTP clients connect to loopback addresses directly.

    Otherwise a proxy that `HTTP_PROXY` names would look for our local servers on its own loopback.
    The libraries of Ably and AWS read the same variables.
    """
    given = environ.get("no_proxy") or environ.get("NO_PROXY") or ""
    hosts = [host.strip() for host in given.split(",") if host.strip()]
    if "*" in hosts:
        return
    text = ",".join([*hosts, *(host for host in LOOPBACK if host not in hosts)])
    environ["NO_PROXY"] = environ["no_proxy"] = text
