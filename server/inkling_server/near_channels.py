"""How channels to other processes of this server behave: Triton, and the process that owns it.

They reconnect after 100 to 500 ms, not after gRPC's 10 s, and set no limit of their own: whoever
receives a message decides how long it may be.
"""

CHANNEL_OPTIONS = (
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 500),
    ("grpc.max_send_message_length", -1),
    ("grpc.max_receive_message_length", -1),
)
