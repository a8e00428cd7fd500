"""Fits the visual clusters that ship beside inkling-small.

    python -m inkling_training.small.clusters [--data DIR] [--model-repository DIR] [--version N]

Photos of the sample data's train splits ─► the exported vision encoder ─► fit_clusters ─►
vision_encoder/<version>/clusters.safetensors. A server starts with them, until it has enough
pictures of its own to fit better ones. The file holds means of embeddings and shares, no picture
and no name of one. It takes some minutes, nearly all of them for embedding.
"""

import argparse
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from inkling_server.profiles.clusters import CLUSTERS_FILE, VisualClusters
from inkling_server.profiles.fit_clusters import FitSettings, fit_clusters
from inkling_server.profiles.visual import beta_effect
from inkling_training.data import REPOSITORY, load_records, sample_data_dir
from inkling_training.exported import Embeddings, ExportedModel

# Photos as people post them. Not stickers, which are drawn; not tiny-imagenet, whose 64 pixels a
# side would make clusters of blur.
PHOTO_PARTS = frozenset(
    {
        "caltech-101",
        "clothing-photos",
        "coco-mini",
        "food-dishes",
        "grocery-store",
        "public-domain-recipes",
        "scenes-8",
    }
)


def fit_shipped(
    data: Path, model: ExportedModel, settings: FitSettings, created_time: datetime
) -> tuple[VisualClusters, str]:
    """Fits clusters to the training photos of `data`; also returns a line that describes them.

    The line says how soft they are on the training photos and on those of the validation splits,
    which neither model nor clusters have seen.

    Raises:
        BackgroundTooSmall: there are too few training photos.
    """
    records = load_records(data, PHOTO_PARTS)
    seen_ND, new_ND = (
        _embed(model, [record.picture for record in records if record.split == split])
        for split in ("train", "val")
    )
    clusters = fit_clusters(
        seen_ND,
        fingerprint=model.manifest.fingerprint,
        created_time=created_time,
        settings=settings,
    )
    facts = [
        f"version {clusters.version}: {clusters.count} clusters; sigma^2 {clusters.sigma2:.3f},"
        f" beta {clusters.beta:.2f}"
    ]
    for name, embeddings_ND in (("training", seen_ND), ("validation", new_ND)):
        if len(embeddings_ND):
            effect = beta_effect(embeddings_ND, clusters, [clusters.beta])[0]
            facts.append(
                f"{len(embeddings_ND)} {name} photos, each effectively in"
                f" {effect.mean_perplexity:.1f} clusters (median {effect.median_perplexity:.1f})"
            )
    return clusters, "; ".join(facts)


def _embed(model: ExportedModel, pictures: list[bytes]) -> Embeddings:
    if not pictures:
        return np.empty((0, model.manifest.dimension), np.float32)
    return model.encode_pictures(pictures)


def main(arguments: list[str] | None = None) -> None:
    """Parses the command line, fits, writes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--data", type=Path, help="sample data; default: INKLING_SAMPLE_DATA")
    parser.add_argument("--model-repository", type=Path, default=REPOSITORY / "model_repository")
    parser.add_argument("--version", type=int, help="of the model; default: the greatest")
    parser.add_argument("--cluster-count", type=int, default=FitSettings().cluster_count)
    parser.add_argument("--seed", type=int, default=FitSettings().seed)
    options = parser.parse_args(arguments)
    model = ExportedModel(options.model_repository, options.version)
    settings = FitSettings(cluster_count=options.cluster_count, seed=options.seed)
    clusters, line = fit_shipped(
        options.data or sample_data_dir(), model, settings, datetime.now(UTC)
    )
    folder = options.model_repository / "vision_encoder" / str(model.manifest.version)
    clusters.save(folder / CLUSTERS_FILE)
    print(line)


if __name__ == "__main__":
    main()
