"""Writes a corpus's state into a folder of a snapshot, and reads it back.

    state/phrases.parquet      one row per record
          frequencies.parquet  document frequencies
          sample.parquet       words of sampled documents
          arrays.safetensors   signatures, items, people, pending engagements, topics, database keys
          state.json           everything small

No pickle. Ids of documents stay out: items are known by keyed hashes only. Checksums are the
snapshot's business.
"""

import json
from array import array
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import load_file, save_file

from inkling_server.interests.corpus_state import CorpusState, StoredKeys, TopicState
from inkling_server.interests.feed import FileMark
from inkling_server.interests.phrases.candidates import Key
from inkling_server.interests.phrases.corpus import PhraseRecord
from inkling_server.interests.snapshot import times_of
from inkling_server.interests.topics.model import Topics

STATE_FOLDER = "state"
_FORMAT = 2
# The first knew no database: nothing of it is to be forgotten.
_READ_FORMATS = (1, 2)
_FACTS = "state.json"
_STORED = ("stored_people", "stored_items")
_TIME = pa.timestamp("us", "UTC")
_RECORDS = pa.schema(
    [
        ("key", pa.string()),
        ("score", pa.float64()),
        ("count", pa.int64()),
        ("document_count", pa.int64()),
        ("whole_count", pa.int64()),
        ("name_count", pa.int64()),
        ("extractors", pa.map_(pa.string(), pa.int64())),
        ("forms", pa.map_(pa.string(), pa.int64())),
        ("first_seen", _TIME),
        ("last_seen", _TIME),
        ("days", pa.map_(pa.int32(), pa.int32())),
        ("last_day", pa.int32()),
    ]
)
_FREQUENCIES = pa.schema([("key", pa.string()), ("count", pa.int64())])
_SAMPLE = pa.schema([("words", pa.list_(pa.string()))])
# Rows that are Python objects at a time, while reading.
_BATCH = 20_000


def save_state(state: CorpusState, folder: Path) -> None:
    """Writes `folder`/state."""
    target = folder / STATE_FOLDER
    target.mkdir()
    records = list(state.records.values())
    _write(target / "phrases.parquet", _RECORDS, _record_columns(records))
    frequencies = state.frequencies.items()
    columns: list[list[Any]] = [[" ".join(k) for k, _ in frequencies], [n for _, n in frequencies]]
    _write(target / "frequencies.parquet", _FREQUENCIES, columns)
    _write(target / "sample.parquet", _SAMPLE, [state.sample])
    save_file(_arrays(state), target / "arrays.safetensors")
    (target / _FACTS).write_text(json.dumps(_facts(state)) + "\n", encoding="utf-8")


def load_state(folder: Path) -> CorpusState:
    """Reads what `save_state` wrote into the same folder.

    Raises:
        OSError, ValueError, KeyError, pyarrow.ArrowException: it is missing or damaged.
    """
    source = folder / STATE_FOLDER
    facts = json.loads((source / _FACTS).read_text(encoding="utf-8"))
    if facts["format"] not in _READ_FORMATS:
        raise ValueError(f"state: format {facts['format']}, not one of {_READ_FORMATS}")
    try:
        arrays = load_file(source / "arrays.safetensors")
    except SafetensorError as error:
        raise ValueError(f"state: {error}") from error
    state = CorpusState(
        document_count=facts["document_count"],
        records=_read_records(source / "phrases.parquet"),
        signatures_MH=arrays["signatures"],
        phrases_by_day={int(day): count for day, count in facts["phrases_by_day"].items()},
        documents_by_day={int(day): count for day, count in facts["documents_by_day"].items()},
        items=_unpack(arrays, "item"),
        people={person: array("Q", row) for person, row in _unpack(arrays, "person").items()},
        pending=[(person, item) for person, item in arrays["pending"].tolist()],
        sampled_from=facts["sampled_from"],
        changed_edge_count=facts["changed_edge_count"],
        topics=_topics(facts, arrays),
        watermark=_watermark(facts),
        stored=_stored(arrays),
        salt=bytes.fromhex(facts["salt"]),
    )
    for batch in pq.ParquetFile(source / "sample.parquet").iter_batches(_BATCH):
        state.sample += batch.column(0).to_pylist()
    unknown = np.zeros(len(state.sample), np.uint64)
    state.sample_items = arrays.get("sample_items", unknown).tolist()
    state.frequencies.document_count = facts["frequencies_document_count"]
    for batch in pq.ParquetFile(source / "frequencies.parquet").iter_batches(_BATCH):
        for key, count in zip(*(c.to_pylist() for c in batch.columns), strict=True):
            state.frequencies.set(tuple(key.split(" ")), count)
    return state


def load_watermark(folder: Path) -> dict[str, FileMark]:
    """How far the feed was read, without the rest of the state; errors as in `load_state`."""
    return _watermark(json.loads((folder / STATE_FOLDER / _FACTS).read_text(encoding="utf-8")))


def load_stored_keys(folder: Path) -> tuple[StoredKeys, bytes]:
    """What was read from a database, and the salt of its hashes; errors as in `load_state`."""
    facts = json.loads((folder / STATE_FOLDER / _FACTS).read_text(encoding="utf-8"))
    try:
        with safe_open(folder / STATE_FOLDER / "arrays.safetensors", "np") as file:
            names = [name for name in _STORED if name in file.keys()]  # noqa: SIM118 - no mapping
            arrays = {name: file.get_tensor(name) for name in names}
    except SafetensorError as error:
        raise ValueError(f"state: {error}") from error
    return _stored(arrays), bytes.fromhex(facts["salt"])


def _watermark(facts: dict[str, Any]) -> dict[str, FileMark]:
    return {name: FileMark(**mark) for name, mark in facts["watermark"].items()}


def _facts(state: CorpusState) -> dict[str, Any]:
    topics = state.topics
    return {
        "format": _FORMAT,
        "document_count": state.document_count,
        "frequencies_document_count": state.frequencies.document_count,
        "phrases_by_day": state.phrases_by_day,
        "documents_by_day": state.documents_by_day,
        "sampled_from": state.sampled_from,
        "changed_edge_count": state.changed_edge_count,
        "watermark": {name: asdict(mark) for name, mark in state.watermark.items()},
        "salt": state.salt.hex(),
        "topics": topics
        and {
            "model": topics.model,
            "document_count": topics.document_count,
            "words": topics.topics.words,
        },
    }


def _record_columns(records: Sequence[PhraseRecord]) -> list[list[Any]]:
    return [
        [" ".join(r.key) for r in records],
        [r.score for r in records],
        [r.count for r in records],
        [r.document_count for r in records],
        [r.whole_count for r in records],
        [r.name_count for r in records],
        [list(r.extractors.items()) for r in records],
        [list(r.forms.items()) for r in records],
        [r.first_seen for r in records],
        [r.last_seen for r in records],
        [list(r.days.items()) for r in records],
        [r.last_day for r in records],
    ]


def _read_records(path: Path) -> dict[Key, PhraseRecord]:
    records: dict[Key, PhraseRecord] = {}
    for batch in pq.ParquetFile(path).iter_batches(_BATCH):
        columns = {name: batch.column(name) for name in _RECORDS.names}
        rows = zip(
            columns["key"].to_pylist(),
            columns["score"].to_pylist(),
            columns["count"].to_pylist(),
            columns["document_count"].to_pylist(),
            columns["whole_count"].to_pylist(),
            columns["name_count"].to_pylist(),
            _maps(columns["extractors"]),
            _maps(columns["forms"]),
            times_of(columns["first_seen"]),
            times_of(columns["last_seen"]),
            _maps(columns["days"]),
            columns["last_day"].to_pylist(),
            strict=True,
        )
        for (
            text,
            score,
            count,
            documents,
            whole,
            names,
            found,
            forms,
            first,
            last,
            *days,
        ) in rows:
            key = tuple(text.split(" "))
            records[key] = PhraseRecord(
                key,
                score,
                count,
                documents,
                [],
                whole,
                names,
                _counter(found),
                _counter(forms),
                first,
                last,
                *days,
            )
    return records


def _counter(counts: dict[str, int]) -> Counter[str]:
    """As `Counter(counts)`, which takes most of the time of reading a record."""
    counter: Counter[str] = Counter.__new__(Counter)
    dict.update(counter, counts)
    return counter


def _maps(column: pa.MapArray) -> list[dict[Any, int]]:
    """As `to_pylist`, several times as fast: one conversion for all rows."""
    keys, values, offsets = (a.to_pylist() for a in (column.keys, column.items, column.offsets))
    return [
        dict(zip(keys[start:end], values[start:end], strict=True))
        for start, end in pairwise(offsets)
    ]


def _arrays(state: CorpusState) -> dict[str, NDArray[Any]]:
    arrays: dict[str, NDArray[Any]] = {"signatures": np.ascontiguousarray(state.signatures_MH)}
    arrays |= _pack("item", state.items.items())
    arrays |= _pack("person", ((p, row.tobytes()) for p, row in state.people.items()))
    arrays["pending"] = np.array(state.pending, np.uint64).reshape(-1, 2)
    arrays["sample_items"] = np.array(state.sample_items, np.uint64)
    for name, keys in zip(_STORED, (state.stored.people, state.stored.items), strict=True):
        arrays[name] = np.array(list(keys.items()), np.uint64).reshape(-1, 2)
    if state.topics is not None:
        topics = state.topics.topics
        arrays["topic_words"] = np.ascontiguousarray(topics.words_TV, np.float32)
        arrays["topic_shares"] = topics.documents_DT.mean(axis=0).astype(np.float32)
    return arrays


def _pack(name: str, rows: Iterable[tuple[int, bytes]]) -> dict[str, NDArray[Any]]:
    """Rows of different lengths as keys, lengths and one long array."""
    keys, values = [], []
    for key, row in rows:
        keys.append(key)
        values.append(row)
    return {
        f"{name}_keys": np.array(keys, np.uint64),
        f"{name}_lengths": np.array([len(row) // 8 for row in values], np.int64),
        f"{name}_phrases": np.frombuffer(b"".join(values), np.uint64).copy(),
    }


def _unpack(arrays: dict[str, NDArray[Any]], name: str) -> dict[int, bytes]:
    data = arrays[f"{name}_phrases"].tobytes()
    ends = (8 * np.cumsum(arrays[f"{name}_lengths"])).tolist()
    rows: dict[int, bytes] = {}
    start = 0
    for key, end in zip(arrays[f"{name}_keys"].tolist(), ends, strict=True):
        rows[key] = data[start:end]
        start = end
    return rows


def _stored(arrays: dict[str, NDArray[Any]]) -> StoredKeys:
    none = np.empty((0, 2), np.uint64)
    people, items = (dict(arrays.get(name, none).tolist()) for name in _STORED)
    return StoredKeys(people, items)


def _topics(facts: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> TopicState | None:
    known = facts["topics"]
    if known is None:
        return None
    words_TV = arrays["topic_words"].astype(np.float64)
    shares_1T = arrays["topic_shares"].astype(np.float64)[None, :]
    topics = Topics(tuple(known["words"]), words_TV, shares_1T)
    return TopicState(known["model"], topics, known["document_count"])


def _write(path: Path, schema: pa.Schema, columns: list[list[Any]]) -> None:
    arrays = [pa.array(column, field.type) for column, field in zip(columns, schema, strict=True)]
    pq.write_table(pa.table(arrays, schema=schema), path, compression="zstd")
