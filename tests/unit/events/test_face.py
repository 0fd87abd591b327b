"""The face of the package: one import for all that others use."""

from __future__ import annotations

import pytest

from api import events


@pytest.mark.parametrize("name", events.__all__)
def test_every_name_of_the_face_is_there(name: str) -> None:
    """Those that need the web framework are loaded when they are asked for."""
    assert getattr(events, name) is not None


def test_another_name_is_an_attribute_error() -> None:
    """The modules behind the face have more names, which are not its own."""
    with pytest.raises(AttributeError, match="CatchUp"):
        _ = events.CatchUp
