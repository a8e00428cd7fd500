"""The interest graph: what Inkling's tags are."""
