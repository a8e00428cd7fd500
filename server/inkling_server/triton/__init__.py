"""Our own Triton, or somebody else's: start, prove, watch, repair, stop, and encode with it.

    backend ─► supervisor ─► process ─► install, guard, leftovers    the process, what it leaves
       │           └───────► models ──► probe ─┐                     is it well, and what to do
       └─────► encoder ─► shared_memory ───────┴─► client            pictures, phrases through it

`backend` is what the gateway opens. The module that runs *inside* Triton is
`inkling_server.python_backend`. Nothing here knows pictures, tags or the gateway's RPCs.
"""

from inkling_server.triton.supervisor import TritonServer, TritonState

__all__ = ["TritonServer", "TritonState"]
