"""How Python's garbage collector works after the start."""

import gc

YOUNG, MIDDLE, OLD = 20_000, 10, 10


def freeze_heap() -> None:
    """Leave all objects that exist now out of every later search for garbage.

    It is called when the process has started: these objects stay as long as it lives.
    """
    gc.freeze()
    gc.set_threshold(YOUNG, MIDDLE, OLD)
