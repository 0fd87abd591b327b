"""How a controller gets what it works with."""

from typing import TypeVar

Controller = TypeVar("Controller")


def bound(controller: type[Controller], **parts: object) -> type[Controller]:
    """`controller` with `parts` as attributes of the class, since Litestar makes the instances.

    This is not done by Litestar's dependency injection: it resolves two dependencies of a
    request in a task group, which costs more than the rest of a connect.
    """
    return type(controller.__name__, (controller,), parts)
