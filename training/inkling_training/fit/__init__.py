"""Trains torch modules: a loop that may be killed at any step, and what a pairwise model learns.

loop          optimiser, schedule, precision, accumulation, averaged weights: knows no model
checkpoints   a run's whole state on disk: atomic, the newest k, refuses other settings
randomness    every generator's state as one value
averaging     a moving average of the weights
distributed   several processes as one: gathered embeddings, averaged gradients
runlog        a JSON object a line, and a readable one
sampling      which pictures stand in which step: a function of the seed alone
batches       pictures and texts of a step, made ready by threads
relations     which texts are right, wrong or neither for which pictures
groups        learning rates by place in the towers
steps         a batch to its losses; large batches in small pieces
validation    recall and loss on pictures that are not learnt from
options       the command line of `python -m inkling_training.fit`
"""
