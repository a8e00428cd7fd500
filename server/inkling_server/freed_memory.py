"""Gives memory that was freed back to the system.

The C library keeps what a large piece of work has freed, in case that more comes. A server does
such work at its start and after a refresh, and then not for hours.
"""

import ctypes
import gc


def give_back_freed_memory() -> None:
    """Collects garbage and returns free pages; takes some tens of milliseconds.

    Only glibc has a call for it; elsewhere this only collects.
    """
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
