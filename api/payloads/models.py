"""What all JSON that comes in and goes out has in common."""

from typing import Any

from pydantic import BaseModel, ConfigDict


class View(BaseModel):
    """What goes out. Validators are built at the first use: most starts need few of them."""

    model_config = ConfigDict(defer_build=True)


class Body(View):
    """What comes in: a field that is not known is an error, not a surprise."""

    model_config = ConfigDict(extra="forbid")


def example(**fields: Any) -> ConfigDict:
    """The `model_config` of a body: what the OpenAPI document shows, and a server accepts."""
    return ConfigDict(json_schema_extra={"examples": [fields]})


def plain(text: str) -> str:
    """The text as UTF-8 can hold it: U+FFFD for each half of a surrogate pair that is alone."""
    if text.isascii():
        return str(text)
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
