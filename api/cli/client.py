"""Calls the HTTP API of a running Millrace, and turns its refusals into text for the terminal."""

from collections.abc import Mapping
from typing import Any

import httpx

TIMEOUT_S = 10.0
HINT = "Is the server running? `make run` starts one; MILLRACE_URL or --url names another."
UNSIGNED = "Set MILLRACE_TOKEN or --token: only a server in local mode signs anybody in."
# From a server that is overloaded or restarts, or from a gateway while the server is gone.
PASSING = frozenset({429, 502, 503, 504})


class Failed(Exception):
    """Raised when a command cannot be done. Its text is printed, and the exit status is 1."""


class Away(Failed):
    """Raised when the server does not answer now. Another try, after `retry_after_s`, may help."""

    def __init__(self, text: str, *, retry_after_s: float = 0.0) -> None:
        super().__init__(text)
        self.retry_after_s = retry_after_s


class ApiClient:
    """Calls the API at `url` for one caller.

    Without a `token` it signs in as `user`, with the role admin, which only local mode allows.
    """

    def __init__(self, url: str, token: str | None, *, user: str) -> None:
        # To load the certificate authorities takes longer than a whole call on loopback.
        self._http = httpx.Client(base_url=url, timeout=TIMEOUT_S, verify=url.startswith("https:"))
        self._token = token
        self._user = user
        self._signs_in = token is None

    def call(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, Any] | None = None,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        wait_s: float = 0.0,
    ) -> httpx.Response:
        """Send one request and return the answer, if it is a success.

        The server may take `wait_s` seconds longer than usual, for an answer that it holds.
        Parameters that are None are left out. Raises `Away` if another try may help, otherwise
        `Failed`.
        """
        request: dict[str, Any] = {
            "params": {key: value for key, value in (params or {}).items() if value is not None},
            "timeout": httpx.Timeout(TIMEOUT_S, read=TIMEOUT_S + wait_s),
        }
        if body is not None:
            request["json"] = body
        answer = self._send(method, path, headers or {}, request)
        if answer.status_code == httpx.codes.UNAUTHORIZED and self._signs_in:
            self._token = None  # the session has ended, or the server has another secret now
            answer = self._send(method, path, headers or {}, request)
        return _checked(answer)

    def _send(
        self, method: str, path: str, headers: Mapping[str, str], request: Mapping[str, Any]
    ) -> httpx.Response:
        token = self._token or self._sign_in()
        credentials = {"Authorization": f"Bearer {token}", "Accept": "application/json"}
        return self._try(method, path, headers={**credentials, **headers}, **request)

    def _sign_in(self) -> str:
        wanted = {"user": self._user, "roles": ["admin"]}
        answer = self._try("POST", "/api/dev/session", json=wanted)
        if answer.status_code in {httpx.codes.NOT_FOUND, httpx.codes.METHOD_NOT_ALLOWED}:
            raise Failed(UNSIGNED)
        token: str = _checked(answer).json()["token"]
        self._http.cookies.clear()  # a token, unlike the cookie, needs no Origin
        self._token = token
        return token

    def _try(self, method: str, path: str, **request: Any) -> httpx.Response:
        try:
            return self._http.request(method, path, **request)
        except httpx.TransportError as error:
            where = str(self._http.base_url).rstrip("/")
            raise Away(f"{where} does not answer ({type(error).__name__}).\n{HINT}") from None
        except (httpx.InvalidURL, httpx.HTTPError) as error:
            raise Failed(f"not a request that can be sent: {error}") from None


def _checked(answer: httpx.Response) -> httpx.Response:
    if not answer.is_error:
        return answer
    text = in_words(answer)
    if answer.status_code in PASSING:
        raise Away(text, retry_after_s=_seconds(answer.headers.get("retry-after")))
    raise Failed(text)


def in_words(answer: httpx.Response) -> str:
    """Describe the problem that `answer` reports, or its status if it is no problem document."""
    try:
        problem = answer.json()
        return told(problem)
    except (ValueError, KeyError, TypeError):
        return f"the server answered {answer.status_code} {answer.reason_phrase}.\n{HINT}"


def told(problem: Mapping[str, Any]) -> str:
    """Format a problem document as lines of text: what, which fields, and the first thing to do."""
    first = ": ".join(filter(None, [problem["title"], problem.get("detail")]))
    fields = [f"  {one['field']}: {one['message']}" for one in problem.get("errors", ())]
    return "\n".join(filter(None, [first, *fields, problem.get("remediation")]))


def _seconds(header: str | None) -> float:
    return float(header) if header and header.isdigit() else 0.0
