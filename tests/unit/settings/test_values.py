"""What every value of the environment is read as, whichever setting it is for."""

from __future__ import annotations

import pytest

from api.settings import Settings, SettingsError
from tests.unit.settings.conftest import BASE, Read

OPTIONAL = sorted(set(Settings.names()) - set(BASE))
SECRETS = {
    "UPSTASH_REDIS_REST_TOKEN": "tok-0451",
    "ABLY_API_KEY": "app.key:secret-0451",
    "MILLRACE_SECRET": "7d1c0f8e6b4f1c9a7be2d84c6f9b0451",
    "MILLRACE_METRICS_TOKEN": "metrics-0451",
    "MILLRACE_CHAT_WEBHOOK_SECRET": "webhook-secret-0451",
}
IN_HEADERS = sorted(set(SECRETS) - {"MILLRACE_SECRET"})
URLS = {
    "UPSTASH_REDIS_REST_URL": {},
    "MILLRACE_ABLY_URL": {},
    "MILLRACE_JWKS_URL": {"MILLRACE_JWT_AUDIENCE": "us"},
    "MILLRACE_JOBS_QUEUE_URL": {},
}


@pytest.mark.parametrize("blank", ["", " ", "\t\r\n"])
@pytest.mark.parametrize("name", OPTIONAL)
def test_a_blank_setting_is_as_good_as_none(name: str, blank: str, read: Read) -> None:
    """Or a variable that a template leaves empty would serve the working directory, say."""
    unset = read()

    assert read(**{name: blank}) == unset
    assert read().model_fields_set == unset.model_fields_set


@pytest.mark.parametrize("blank", ["", " ", "\n"])
@pytest.mark.parametrize("name", sorted(BASE))
def test_a_blank_setting_that_is_needed_is_missing(name: str, blank: str, read: Read) -> None:
    """The complaint is that of a variable that is not there."""
    with pytest.raises(SettingsError) as caught:
        read(**{name: blank})

    assert caught.value.complaints == [f"{name}: Field required"]


@pytest.mark.parametrize("around", ["{}\n", "{}\r\n", " {}", "\t{} \n"])
@pytest.mark.parametrize("name", sorted(SECRETS))
def test_white_space_around_a_secret_is_no_part_of_it(name: str, around: str, read: Read) -> None:
    """It comes from `echo secret > file`, and the service knows the secret without it."""
    assert read(**{name: around.format(SECRETS[name])}) == read(**{name: SECRETS[name]})


@pytest.mark.parametrize("within", ["\n", "\r\nX: y", "\x7f", "é", "\u200b"])
@pytest.mark.parametrize("name", IN_HEADERS)
def test_a_secret_that_no_header_can_hold_is_refused_by_name(
    name: str, within: str, read: Read
) -> None:
    """A line end within it would write a header of its own. The complaint does not show it."""
    with pytest.raises(SettingsError) as caught:
        read(**{name: SECRETS[name] + within + "z"})

    [complaint] = caught.value.complaints
    assert complaint.startswith(f"{name}: ")
    assert "0451" not in complaint


@pytest.mark.parametrize("quote", ['"', "'"])
def test_a_secret_in_quotes_is_refused_by_name(quote: str, read: Read) -> None:
    """Docker's env files keep them, and the store would only say that the token is wrong."""
    name = "UPSTASH_REDIS_REST_TOKEN"

    with pytest.raises(SettingsError) as caught:
        read(**{name: f"{quote}{SECRETS[name]}{quote}"})

    assert caught.value.complaints == [f"{name}: must be without the quotes around it"]


@pytest.mark.parametrize("name", sorted(URLS))
def test_production_refuses_plain_http_beyond_loopback(name: str, read: Read) -> None:
    """Tokens, keys and what users send would be readable on the way."""
    with pytest.raises(SettingsError, match=f"{name} must be https"):
        read(**URLS[name], **{name: "http://service.example/x"})

    for host in ("127.0.0.1:8079", "localhost", "[::1]:1", "127.8.8.8"):
        read(**URLS[name], **{name: f"http://{host}/x"})
    read(**URLS[name], **{name: "http://service.example/x", "MILLRACE_ENV": "local"})


@pytest.mark.parametrize(
    "url",
    [
        *("service.example", "ftp://service.example", "https://", "https:///x", "https://a:b"),
        *("https://a.example:0", "https://a .example", "https://a.example/\nx", "https://[a/"),
        *("https://user:word@a.example", "https://a.example/#x", "https://é.example"),
    ],
)
@pytest.mark.parametrize("name", sorted(URLS))
def test_what_is_no_url_of_a_server_is_refused_by_name(name: str, url: str, read: Read) -> None:
    """At the start, not with the first request."""
    with pytest.raises(SettingsError) as caught:
        read(**URLS[name], **{name: url})

    [complaint] = caught.value.complaints
    assert complaint.startswith(f"{name}: must be a URL")


@pytest.mark.parametrize("scheme", ["redis", "rediss"])
def test_an_address_for_redis_clients_is_answered_with_what_to_paste(
    scheme: str, read: Read
) -> None:
    """Upstash's console shows both, and the password in the address is not repeated."""
    with pytest.raises(SettingsError) as caught:
        read(UPSTASH_REDIS_REST_URL=f"{scheme}://default:0451@db.example:6379")

    [complaint] = caught.value.complaints
    assert "UPSTASH_REDIS_REST_URL" in complaint
    assert "paste the REST URL" in complaint
    assert "0451" not in complaint


def test_a_slash_behind_the_rest_url_changes_nothing(read: Read) -> None:
    """Paths are put behind it."""
    assert read(UPSTASH_REDIS_REST_URL="https://db.example/").upstash_url == "https://db.example"
