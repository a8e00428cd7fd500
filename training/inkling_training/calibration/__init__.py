"""How a cosine becomes a probability that can be trusted, and where to cut the list of tags.

    half 0 of the validation pictures ─► platt ─► offsets ─► isotonic ─► choose ─► operating ─┐
    half 1 ──────────────────────────────────► figures ◄──────────── calibration.json ◄───────┘

`python -m inkling_training.calibration` fits and chooses, `python -m
inkling_training.calibration.tune` moves the operating point. The server reads what `artifact`
writes; nothing here knows how it is served.
"""
