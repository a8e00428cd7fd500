"""Other ways to serve the same work: JPEG bytes in, tags out, by the same model and the same tags.

Each is a small server of its own process. None of them imports `inkling_server`.
"""
