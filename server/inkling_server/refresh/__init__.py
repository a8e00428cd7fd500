"""Refreshing the interest graph while the server serves.

    RefreshManager ─► RefreshJob ─► worker process: reads, mines, writes a draft
         │                └───────► gateway: proves the draft, publishes it, swaps

`operation` has the values, `worker` is the process, `pipe` is how both talk.
"""
