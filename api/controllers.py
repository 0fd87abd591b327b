"""Gives Litestar controllers the objects that they work with."""

from typing import TypeVar

Controller = TypeVar("Controller")


def bound(controller: type[Controller], **parts: object) -> type[Controller]:
    """Return a subclass of `controller` that has `parts` as class attributes.

    Litestar itself creates the instances of a controller, so nothing can be passed to them. Its
    dependency injection is not used for this: it resolves two dependencies of a request in a task
    group, which costs more than the rest of opening a stream.
    """
    return type(controller.__name__, (controller,), parts)
