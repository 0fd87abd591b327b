"""When garbage is looked for: never in what the start has made."""

import gc

YOUNG, MIDDLE, OLD = 20_000, 10, 10


def freeze_heap() -> None:
    """The process has started: what there is now stays, and what comes may be garbage."""
    gc.freeze()
    gc.set_threshold(YOUNG, MIDDLE, OLD)
