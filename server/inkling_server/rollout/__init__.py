"""Replacing the model that serves while it serves.

    RolloutManager ─► load beside ─► embed the graph ─► prove, compare ─► swap ─► unload
          │             (EncoderBackend)   (build_state)    │       (StateHolder)
          └── repository, pointer                           └── proving, comparing, sample

`operation` has the values. Everything in between may fail, and the old model goes on serving.
"""
