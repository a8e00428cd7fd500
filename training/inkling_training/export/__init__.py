"""Exports a pairwise model as one version of a Triton model repository.

    from inkling_training.export import write_version
    from inkling_training.models.sources import load_source

    print(write_version(load_source("openai/clip-vit-base-patch32"), Path("my_models")))

graphs: ONNX; openvino, tensorrt: their own formats; shrink, variants: precisions; samples, parity:
proof; repository, versions: files; provisional: a first calibration.
"""

from inkling_training.export.versions import ExportReport, ParityFailed, write_version

__all__ = ["ExportReport", "ParityFailed", "write_version"]
