"""Clients of Inkling's gRPC services."""
