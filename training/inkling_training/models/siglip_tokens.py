"""Tokenizers of SigLIP and SigLIP 2 in the one format that the server reads.

SigLIP's tokenizer is a SentencePiece model behind Python code (lower case, punctuation removed);
here it becomes a `tokenizers` pipeline that gives the same numbers, and that is checked each time.
SigLIP 2 has Gemma's tokenizer with lower-casing. This module does not know models or pictures.
"""

import string
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tokenizers import Regex, Tokenizer, normalizers, pre_tokenizers, processors
from tokenizers.models import Unigram
from transformers import AutoTokenizer, PreTrainedTokenizerFast
from transformers.utils import sentencepiece_model_pb2_new

_PROBES = (
    "dog",
    "A Photo of a DOG.",
    "two people on a beach at sunset, seen from a boat",
    "rock-n-roll (live)   1984",
    "crème brûlée & ½ ﬁne Ωmega 日本",
    "it's   a\ttest_case!",
    "~",
)


def load_siglip_tokenizer(source: str, probes: Sequence[str] = _PROBES) -> Any:
    """The fast tokenizer of a SigLIP or (fixed resolution) SigLIP 2 directory or hub name.

    Args:
        source: hub name or directory.
        probes: texts on which a converted tokenizer must agree with the original.

    Raises:
        ValueError: the library for the original is missing, or a conversion does not agree.
    """
    from transformers.models.auto.tokenization_auto import get_tokenizer_config

    if get_tokenizer_config(source).get("tokenizer_class", "").startswith("Gemma"):
        # These directories name Gemma's own class, which keeps capitals; SigLIP 2 never saw any.
        from transformers import Siglip2Tokenizer

        return Siglip2Tokenizer.from_pretrained(source)
    try:
        tokenizer = AutoTokenizer.from_pretrained(source)
    except ImportError as error:
        raise ValueError(
            f"{source}: SigLIP's tokenizer is a SentencePiece model: pip install sentencepiece"
        ) from error
    if tokenizer.is_fast:
        return tokenizer
    fast = PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=_converted(tokenizer),
        eos_token=str(tokenizer.eos_token),
        pad_token=str(tokenizer.pad_token),
        unk_token=str(tokenizer.unk_token),
        model_max_length=tokenizer.model_max_length,
        padding_side=tokenizer.padding_side,
    )
    for text in probes:
        theirs, ours = tokenizer(text)["input_ids"], fast(text)["input_ids"]
        if theirs != ours:
            raise ValueError(
                f"{source}: the converted tokenizer reads {text!r} as {ours}, its own as {theirs}"
            )
    return fast


def _converted(tokenizer: Any) -> Tokenizer:
    """SentencePiece -> tokenizers, led by what SiglipTokenizer.canonicalize_text does in Python."""
    proto = sentencepiece_model_pb2_new.ModelProto()  # type: ignore[attr-defined]
    proto.ParseFromString(Path(tokenizer.vocab_file).read_bytes())
    if proto.trainer_spec.model_type != proto.trainer_spec.UNIGRAM:
        raise ValueError("SigLIP's SentencePiece model is of the unigram kind; this one is not")
    pieces = [(piece.piece, piece.score) for piece in proto.pieces]
    fast = Tokenizer(Unigram(pieces, unk_id=proto.trainer_spec.unk_id))
    punctuation = "".join(map(_escaped, string.punctuation))
    steps = [
        *([normalizers.Lowercase()] if tokenizer.do_lower_case else []),
        normalizers.Replace(Regex(f"[{punctuation}]"), ""),
        normalizers.Replace(Regex(r"\s+"), " "),
        normalizers.Strip(),
    ]
    if proto.normalizer_spec.precompiled_charsmap:
        steps.append(normalizers.Precompiled(proto.normalizer_spec.precompiled_charsmap))
    # SentencePiece drops spaces that its own characters' map made.
    steps += [normalizers.Replace(Regex(" {2,}"), " "), normalizers.Strip()]
    fast.normalizer = normalizers.Sequence(steps)
    fast.pre_tokenizer = pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="always")
    eos = str(tokenizer.eos_token)
    fast.post_processor = processors.TemplateProcessing(
        single=["$A", eos], special_tokens=[(eos, tokenizer.convert_tokens_to_ids(eos))]
    )
    return fast


def _escaped(character: str) -> str:
    return f"\\{character}" if character in r"\]^-[&~" else character
