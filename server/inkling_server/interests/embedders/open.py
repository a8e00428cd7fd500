"""Opens the embedder that settings name.

Each kind's module, and what it needs, is imported when that kind is asked for. It does not know
settings, nor where a refresh keeps its files.
"""

from collections.abc import Callable, Collection, Iterable, Sequence
from pathlib import Path

from inkling_server.interests.embedders.base import Embedder, EmbedderUnusable
from inkling_server.interests.embedders.spec import check_spec

Sentences = Iterable[Sequence[str]]


def open_embedder(
    spec: str,
    *,
    text_encoder: Embedder | None = None,
    trained_folder: Path | None = None,
    sentences: Callable[[], Sentences] | None = None,
    phrases: Collection[str] = (),
    seed: int = 0,
) -> Embedder:
    """Opens an embedder.

    Args:
        spec: see `spec`.
        text_encoder: what "text_encoder" gives.
        trained_folder: "word2vec" and "fasttext" are loaded from here where it holds one of that
            kind, so that phrases keep their vectors; else they are trained and saved here.
        sentences: gives the corpus to train on; called only where something is to be trained.
        phrases: see `train`.
        seed: see `train`.

    Raises:
        ValueError: a wrong spec; the text lists what is allowed.
        EmbedderUnusable: what the spec names is missing, damaged, or not handed in.
    """
    wanted = check_spec(spec)
    match wanted.kind:
        case "text_encoder":
            if text_encoder is None:
                raise EmbedderUnusable(spec, "no text encoder is at hand", "a running server's")
            return text_encoder
        case "vectors":
            from inkling_server.interests.embedders.word_vectors import WordVectorEmbedder

            return WordVectorEmbedder(Path(wanted.path))
        case "sentence-transformers":
            from inkling_server.interests.embedders.sentence_transformer import (
                SentenceTransformerEmbedder,
            )

            return SentenceTransformerEmbedder(Path(wanted.path))
        case "word2vec" | "fasttext":
            from inkling_server.interests.embedders.trained import train
            from inkling_server.interests.embedders.trained_files import (
                load_trained,
                save_trained,
            )

            if trained_folder is not None and trained_folder.exists():
                loaded = load_trained(trained_folder)
                if loaded.name == wanted.kind:
                    return loaded
            if sentences is None:
                raise EmbedderUnusable(spec, "not trained yet", "a corpus to train on")
            trained = train(wanted.kind, sentences(), phrases=phrases, seed=seed)
            if trained_folder is not None:
                save_trained(trained, trained_folder)
            return trained
