"""Exports a model of the hub, a directory or a checkpoint as a Triton model repository.

    inkling-export --from openai/clip-vit-base-patch32 --out my_models --template "a photo of {}"
    inkling-export --from google/siglip2-base-patch16-224 --target openvino --precision bf16 --out m
    inkling-export --from runs/7/model --out model_repository

(also: python -m inkling_training.export). `--from` is a hub name or directory of a CLIP, SigLIP,
SigLIP 2 or CLIP-like model, `open_clip:<model>[/<pretrained>]`, or what `inkling-train` wrote. Each
export becomes a new version, is compared with torch, and is refused where it drifts.

    target       what it is for
    onnxruntime  model.onnx alone: the embedded Triton (OpenVINO reads it), and Triton's own ONNX
                 Runtime backend
    openvino     model.xml, too: faster on CPUs for transformers
    tensorrt     model.plan, too, on a machine with TensorRT (not yet run)

    precision    weights and arithmetic
    fp32         float32
    fp16         weights float16, arithmetic float32
    bf16         weights float16, arithmetic bfloat16 where the CPU has it: twice as fast there
    int8         pictures alone; dynamic (onnxruntime) or calibrated on --pictures (openvino)

A model's cosines mean nothing to a person: the server wants a calibration, which
`inkling-calibrate` fits on labelled pictures. --provisional-calibration writes one from the model's
own loss, to try it out.

This module does not know how anything is done.
"""

import argparse
from dataclasses import replace
from pathlib import Path

from inkling_training.export.samples import read_pictures
from inkling_training.export.variants import PRECISIONS, TARGETS
from inkling_training.export.versions import write_version
from inkling_training.models.sources import load_source


def main(arguments: list[str] | None = None) -> None:
    """Reads the command line and writes a version; exits with a message where it cannot."""
    parser = argparse.ArgumentParser(
        prog="inkling-export",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--from", dest="source", required=True, help="what to export; see above")
    parser.add_argument("--target", choices=TARGETS, default="onnxruntime")
    parser.add_argument("--precision", choices=PRECISIONS, default="fp16")
    parser.add_argument(
        "--int8-words", action="store_true", help="word table as int8: half of a small text model"
    )
    parser.add_argument("--out", type=Path, required=True, help="model repository, new or old")
    parser.add_argument("--name", default=None, help="default: the last part of --from")
    parser.add_argument("--version", type=int, default=None, help="default: the next free one")
    parser.add_argument("--template", default=None, help='wraps a phrase: "a photo of {}"')
    parser.add_argument(
        "--dimension", type=int, default=None, help="keep the first N (nested embeddings)"
    )
    parser.add_argument(
        "--pictures", type=Path, default=None, help="folder: for parity, and OpenVINO's int8"
    )
    parser.add_argument("--graph", type=Path, default=None, help="whose phrases parity takes")
    parser.add_argument("--allow-drift", action="store_true", help="write it below the floor, too")
    parser.add_argument("--provisional-calibration", action="store_true", help="see above")
    args = parser.parse_args(arguments)
    if args.template is not None and "{}" not in args.template:
        parser.error(f'--template {args.template!r} has no "{{}}" for the phrase')
    try:
        model = load_source(args.source, dimension=args.dimension)
        if args.template is not None:
            model = replace(model, text_spec=replace(model.text_spec, template=args.template))
        report = write_version(
            replace(model, name=args.name or model.name),
            args.out,
            version=args.version,
            target=args.target,
            precision=args.precision,
            int8_words=args.int8_words,
            pictures=read_pictures(args.pictures) if args.pictures else (),
            graph=args.graph,
            allow_drift=args.allow_drift,
            provisional=args.provisional_calibration,
        )
    except (ValueError, OSError, ModuleNotFoundError) as error:
        raise SystemExit(f"inkling-export: {error}") from error
    print(report)
    if not args.provisional_calibration:
        print("The server wants a calibration beside it: run inkling-calibrate next.")


if __name__ == "__main__":
    main()
