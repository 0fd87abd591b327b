"""The bases of all JSON that comes in and goes out."""

from pydantic import BaseModel, ConfigDict


class View(BaseModel):
    """What goes out. Validators are built at the first use: most starts need few of them."""

    model_config = ConfigDict(defer_build=True)


class Body(View):
    """What comes in: a field that is not known is an error, not a surprise."""

    model_config = ConfigDict(extra="forbid")
