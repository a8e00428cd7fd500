"""Pairwise models as torch modules: towers, similarity layers, and where they come from.

    loaded       what every source gives: two modules, a tokenizer, how pixels, phrases are prepared
    sources      finds a model by name: the hub, a directory, open_clip, a checkpoint of ours
    towers       any single vision or text model of the hub: pixels, tokens -> features
    efficientnet_lite, ..._weights  a convolutional tower that transformers lacks; where it is had
    dual_towers  CLIP-like models' halves as towers
    similarity   features -> embeddings -> logits; nested sizes, temperature
    captions     a decoder that says what a picture shows, for training
    pairwise     all of these together
    start        where training starts, from one name or two
    lora         what of it learns
    checkpoint   a model as a directory

Nothing here knows data, graphs or serving.
"""
