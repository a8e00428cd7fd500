"""The paper's siamese network: pictures of one label near each other, others a margin apart.

    pictures ─► trunk ─► output layer ─► batch norm ─► embedding [B, D]
                  │                                        │
                  └─► classification features              └─► margin contrastive loss on pairs
                                   └───────┬───────────────────┘
                                           ▼ each L2-normalised
                                   hybrid = concatenation

    networks    AlexNet-style trunk, any Hugging Face tower as a trunk, output layer, classifier
    pairs       pairs of pictures by label, the same for the same seed and step
    inputs      rows of a picture set as tensors: decoded pixels, or cached features
    losses      the margin contrastive loss
    train       the loop, with checkpoints
    hybrid      concatenation, its weight chosen on training folds
    sift_words  the baseline before networks: a bag of visual words
    saved       a network on disk
    __main__    `python -m inkling_training.siamese`

Nothing here knows texts, interests or serving: it learns from one label a picture.
"""
