"""Training of the pairwise model: data, model, losses, evaluation, calibration, export."""
