"""Random variations of pictures and texts for training; nothing here knows models."""
