"""The base classes of the pydantic models of all request bodies and JSON answers."""

from typing import Any

from pydantic import BaseModel, ConfigDict


class View(BaseModel):
    """Base class of the models of JSON that we send.

    Pydantic builds the validator of such a model when it is first used, which makes the start
    faster.
    """

    model_config = ConfigDict(defer_build=True)


class Body(View):
    """Base class of the models of JSON request bodies.

    A field that the model does not have is an error.
    """

    model_config = ConfigDict(extra="forbid")


def example(**fields: Any) -> ConfigDict:
    """Return a `model_config` with one example of the body, which the OpenAPI document shows."""
    return ConfigDict(json_schema_extra={"examples": [fields]})


def plain(text: str) -> str:
    """Return `text` with U+FFFD for each unpaired surrogate, so that UTF-8 can encode it."""
    if text.isascii():
        return str(text)
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
