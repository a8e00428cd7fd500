"""Finds texts that nearly repeat an earlier one: MinHash signatures, found by banding.

    words ─► shingles (words and pairs) ─► 64 minimum hashes ─► 16 bands of 4 ─► tables

Memory is fixed at construction: the newest texts are remembered, older ones forgotten. The result
depends on the order of texts, and on nothing else: the same on every machine and run. It does not
know items or languages.
"""

import zlib
from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise

import numpy as np
import numpy.typing as npt

# Dimension names: H hashes of a signature, B bands, S shingles, C candidates, M remembered texts.
_HASHES = 64
_BANDS = 16
_ROWS = _HASHES // _BANDS
_PRIME = np.uint64((1 << 61) - 1)
_MASK = np.uint64((1 << 32) - 1)
_SHORTEST = 6  # distinct words; fewer say the same thing by chance, and each time anew
_LONGEST = 2_000  # words that count

Signature = npt.NDArray[np.uint32]


class NearDuplicates:
    """Remembers signatures.

    Args:
        similarity: Jaccard similarity of the shingles from which two texts repeat each other.
        capacity: texts that are remembered; each costs about 330 bytes.
    """

    def __init__(self, similarity: float = 0.7, capacity: int = 200_000) -> None:
        if not 0 < similarity <= 1 or capacity < 1:
            raise ValueError("similarity must be in (0, 1], capacity at least 1")
        rng = np.random.default_rng(20_240_229)
        self._multipliers_H = rng.integers(1, 1 << 29, _HASHES, dtype=np.uint64)
        self._offsets_H = rng.integers(0, 1 << 61, _HASHES, dtype=np.uint64)
        self._band_mix_R = rng.integers(1, 1 << 62, _ROWS, dtype=np.uint64) | np.uint64(1)
        self._needed = int(np.ceil(similarity * _HASHES))
        self._signatures_MH = np.zeros((capacity, _HASHES), np.uint32)
        # A table for each band: slot of the newest text with that key, or -1. Texts whose keys
        # collide push each other out, hence one size up.
        bits = max(8, capacity.bit_length())
        self._shift = np.uint64(64 - bits)
        self._slots = np.full((_BANDS, 1 << bits), -1, np.int32)
        self._band_B = np.arange(_BANDS)
        self._next = 0

    def seen(self, words: Sequence[str]) -> bool:
        """Whether the text repeats a remembered one. If it does not, it is remembered.

        Args:
            words: normalised words of the text, in order.
        """
        if len(set(words)) < _SHORTEST:
            return False
        signature_H = self._signature(words[:_LONGEST])
        keys_B = self._keys(signature_H)
        slots_B = self._slots[self._band_B, keys_B]
        candidates_C = np.unique(slots_B[slots_B >= 0])
        if len(candidates_C):
            equal_C = (self._signatures_MH[candidates_C] == signature_H).sum(axis=1)
            if int(equal_C.max()) >= self._needed:
                return True
        slot = self._next % len(self._signatures_MH)
        self._signatures_MH[slot] = signature_H
        self._slots[self._band_B, keys_B] = slot
        self._next += 1
        return False

    def signatures(self) -> Signature:
        """What is remembered, [M, H], oldest first: to go on from in another process."""
        count, capacity = self._next, len(self._signatures_MH)
        if count <= capacity:
            return self._signatures_MH[:count].copy()
        return np.roll(self._signatures_MH, -(count % capacity), axis=0)

    def restore(self, signatures_MH: Signature) -> None:
        """Remembers what another one did; of more than fit, the newest.

        Raises:
            ValueError: these are no signatures.
        """
        if signatures_MH.ndim != 2 or signatures_MH.shape[1] != _HASHES:
            raise ValueError(f"signatures must be [M, {_HASHES}]")
        kept_MH = signatures_MH[-len(self._signatures_MH) :]
        self._next = len(kept_MH)
        self._signatures_MH[: self._next] = kept_MH
        bands_MBR = kept_MH.reshape(-1, _BANDS, _ROWS).astype(np.uint64)
        keys_MB = self._mixed(bands_MBR)
        # Of texts with the same key the newest is found: the last assignment stays.
        for band in range(_BANDS):
            self._slots[band, keys_MB[:, band]] = np.arange(self._next)

    def _signature(self, words: Sequence[str]) -> Signature:
        codes = [_code(word) for word in words]
        pairs = [(first * 0x9E3779B1 + second) & 0xFFFFFFFF for first, second in pairwise(codes)]
        shingles_S1 = np.array([*codes, *pairs], np.uint64)[:, None]
        # Products stay below 2**61 + 2**61: no overflow.
        hashes_SH = (shingles_S1 * self._multipliers_H + self._offsets_H) % _PRIME
        signature: Signature = (hashes_SH & _MASK).min(axis=0).astype(np.uint32)
        return signature

    def _keys(self, signature_H: Signature) -> npt.NDArray[np.int64]:
        return self._mixed(signature_H.reshape(_BANDS, _ROWS).astype(np.uint64))

    def _mixed(self, bands: npt.NDArray[np.uint64]) -> npt.NDArray[np.int64]:
        """The key of each band of rows, in the last dimension."""
        mixed = (bands * self._band_mix_R).sum(axis=-1, dtype=np.uint64)
        mixed *= np.uint64(0x9E3779B97F4A7C15)
        keys: npt.NDArray[np.int64] = (mixed >> self._shift).astype(np.int64)
        return keys


@lru_cache(maxsize=1 << 16)
def _code(word: str) -> int:
    return zlib.crc32(word.encode())
