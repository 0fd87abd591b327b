"""The base classes of all JSON that comes in and goes out."""

from typing import Any

from pydantic import BaseModel, ConfigDict


class View(BaseModel):
    """JSON that goes out. Its validators are built at the first use, which makes a start faster."""

    model_config = ConfigDict(defer_build=True)


class Body(View):
    """JSON that comes in. A field that it does not have is an error."""

    model_config = ConfigDict(extra="forbid")


def example(**fields: Any) -> ConfigDict:
    """The `model_config` of a body, with an example that the OpenAPI document shows."""
    return ConfigDict(json_schema_extra={"examples": [fields]})


def plain(text: str) -> str:
    """The text as UTF-8 can hold it: U+FFFD in place of each half of a surrogate pair."""
    if text.isascii():
        return str(text)
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
