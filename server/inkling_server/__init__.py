"""Inkling's gateway: decodes pictures, has Triton encode them, finds the interests they are about.

Layers, each importing only those below it (held by import-linter):

    __main__ -> rpc -> tagging, batching, tag_index, encoders, triton, images, interests -> errors

Nothing below `rpc` knows gRPC servicers or protobuf messages of `inkling.v1`.
"""

__version__ = "0.1.0"
