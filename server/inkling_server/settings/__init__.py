"""Every setting of the server: the only package that reads the environment.

    listening, serving, graph, people, rollout, media ─► Settings (all of them, checked together)
                              flags, environment ─► outside ─┘

A setting `grpc_port` is the flag `--grpc-port` and the environment variable `INKLING_GRPC_PORT`;
a flag beats a variable, a variable beats the default. They are read once, at the start, into one
frozen `Settings`; each description says what the limit costs or prevents. Nothing here opens a
port, starts a process or loads a model.
"""

from inkling_server.settings.every import Settings
from inkling_server.settings.outside import describe_problems, load_settings

__all__ = ["Settings", "describe_problems", "load_settings"]
