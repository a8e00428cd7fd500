"""Gives memory that was freed back to the system.

Arrow and the C library keep what a large piece of work has freed, in case that more comes. A server
does such work at its start and after a refresh, and then not for hours.
"""

import ctypes
import gc

import pyarrow


def give_back_freed_memory() -> None:
    """Collects garbage and returns free pages; takes some tens of milliseconds.

    Only glibc has a call for the pages; elsewhere this only collects.
    """
    gc.collect()
    pyarrow.default_memory_pool().release_unused()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def settle() -> None:
    """Ends a start: what is loaded stays, what only loading needed goes.

    A collection that a request meets need not look through modules and the first graph again, which
    takes a tenth of a second.
    """
    give_back_freed_memory()
    gc.freeze()
