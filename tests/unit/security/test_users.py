"""The one form in which a user's id stands in topics, grants, keys and client ids."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.security.patterns import is_segment
from api.security.users import (
    MAX_ID_CHARS,
    InvalidUserId,
    addressed_user,
    user_id_of,
    user_segment,
)

printable = st.characters().filter(str.isprintable)
ids = st.one_of(
    st.text(printable, min_size=1, max_size=MAX_ID_CHARS),
    st.text("ab~04F:|", min_size=1, max_size=12),
    st.text("a~:", min_size=60, max_size=70),
    st.from_regex(r"~sha256\.[A-Za-z0-9_-]{43}", fullmatch=True),
)


@pytest.mark.parametrize(
    ("user_id", "segment"),
    [
        ("auth0|123", "auth0~7C123"),
        ("google-oauth2|1", "google-oauth2~7C1"),
        ("a@b.example", "a~40b.example"),
        (
            "eu-west-1:0f3c9a52-7d41-4a0e-9d0c-1a2b3c4d5e6f",
            "eu-west-1~3A0f3c9a52-7d41-4a0e-9d0c-1a2b3c4d5e6f",
        ),
        ("zoë", "zo~C3~AB"),
        ("*", "~2A"),
        (".", "~2E"),
        ("..", "~2E~2E"),
        ("a" * 65, "~sha256.Y1NhxIu56rFBmOduqKt_GkFoXWrWKqkUbTAdTxfrCuA"),
    ],
)
def test_an_id_that_is_no_segment_is_escaped(user_id: str, segment: str):
    """As in a URL, with `~` for `%`; what would be too long is a digest."""
    assert user_segment(user_id) == segment


@pytest.mark.parametrize(
    "user_id", ["42", "alice", "user_2ab", "a.b-c~d", "~", "~~", "a~4", "a~4g"]
)
def test_a_segment_stands_for_itself(user_id: str):
    """What users are called in topics and keys of a deployment does not change."""
    assert user_segment(user_id) == user_id


@pytest.mark.parametrize("user_id", ["a~40b.example", "auth0~7C123", "~sha256.x"])
def test_nobody_takes_the_form_of_another(user_id: str):
    """A user who can choose the id `a~40b` is not the user `a@b`."""
    assert user_segment(user_id) != user_id
    assert user_id_of(user_segment(user_id)) == user_id


@given(ids)
def test_an_id_is_read_back_from_its_segment(user_id: str):
    """So no two ids share a form, but for digests, which nobody can make collide."""
    segment = user_segment(user_id)

    assert is_segment(segment)
    assert user_id_of(segment) == (None if segment.startswith("~sha256.") else user_id)


@given(ids, ids)
def test_two_ids_have_two_segments(one: str, other: str):
    """Short, long, and those that look like a form."""
    assert (user_segment(one) == user_segment(other)) == (one == other)


@given(ids)
def test_a_segment_that_comes_back_is_the_same_user(user_id: str):
    """What we tell of a user can be sent back to us."""
    segment = user_segment(user_id)

    assert addressed_user(segment) == segment


@pytest.mark.parametrize("user_id", [".", ".."])
def test_no_user_is_called_what_a_url_cannot_say(user_id: str):
    """Clients resolve `/bans/..` themselves, so nobody could lift such a ban."""
    assert addressed_user(user_id) == user_segment(user_id) != user_id
    assert user_id_of(user_segment(user_id)) == user_id
    assert user_id_of(user_id) is None


@given(st.text())
def test_any_other_text_is_refused_or_taken_and_nothing_else(text: str):
    """Whatever characters it has."""
    try:
        segment = user_segment(text)
    except InvalidUserId:
        return
    assert is_segment(segment)


@given(st.text("~0123456789ABCDEFa.", min_size=1, max_size=64))
def test_only_our_own_forms_are_read_back(segment: str):
    """Another spelling of the same id is nobody."""
    user_id = user_id_of(segment)

    assert user_id is None or user_segment(user_id) == segment
