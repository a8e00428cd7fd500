"""How good a model is: figures, never training.

    inputs ─► measure ─► report (JSON) ─┬─► page (HTML)
       │                                └─► gate against an earlier report
       └─ judged, tagging, curves, reliability, slices     answers beside the gold
          matching, clustering                             embeddings alone
          bootstrap, headline                              how sure, and what counts

`python -m inkling_training.evaluation` is the command.
"""
