"""Embeddings of a video's frames -> its tags: search, timeline, join with what texts say.

    frames ─► search each ─► candidates ─► score all in all frames ─► timeline ─┐
                                                          evidence of texts ────┴► join ─► tags

Everything happens with one serving state. This module knows no files, decoders or queues.

Shapes: F frames, D dimensions, K candidate tags.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Protocol

import numpy as np

from inkling_server.answers import Explanation, ScoredTag, picture_tags
from inkling_server.encoders import Embeddings
from inkling_server.joining import JoinedRow, RowEvidence, join
from inkling_server.serving_state import ServingState
from inkling_server.tag_index import Hit, Selection
from inkling_server.timeline import Interval, Scores, Seconds, showing, video_scores

# Candidates of one frame beyond those that are wanted: a frame shorter than the timeline's window
# may show many tags that the video is not about.
_SPARE_PER_FRAME = 20
# Candidates of the video are at most this many times the wanted ones: what bounds the work.
_CANDIDATE_RATIO = 4
_MIN_CANDIDATES = 64


class Span(Protocol):
    """A frame: shown at `time_s`, it stands for the video from `start_s` to `end_s`."""

    @property
    def time_s(self) -> float: ...
    @property
    def start_s(self) -> float: ...
    @property
    def end_s(self) -> float: ...


@dataclass(frozen=True, slots=True)
class VideoTag:
    """One interest that a video is about.

    Attributes:
        tag: with the video's score. An explanation has the best frame's numbers; its
            calibrated_logit is the timeline's score, so that it adds up with the evidence.
        intervals: when it shows; () where only texts name it.
        best_time_s: where it is plainest; None where it does not show.
        share: part of the video in which it shows, in [0, 1].
    """

    tag: ScoredTag
    intervals: tuple[Interval, ...]
    best_time_s: float | None
    share: float


@dataclass(frozen=True, slots=True, eq=False)
class ScoredVideo:
    """The tags of a video, and those of each of its frames alone."""

    tags: tuple[VideoTag, ...]
    frame_tags: tuple[tuple[ScoredTag, ...], ...]


@dataclass(frozen=True, slots=True, eq=False)
class _Scored:
    """Candidates with their scores: rows of K, scores_FK of each frame, scores_K of the video."""

    rows: Mapping[int, int]
    scores_FK: Scores
    scores_K: Scores


async def score_frames(
    frames: Sequence[Span],
    embeddings_FD: Embeddings,
    state: ServingState,
    evidence: RowEvidence,
    *,
    selection: Selection,
    duration_s: float,
    explain: bool,
) -> ScoredVideo:
    """Finds a video's tags.

    Args:
        frames: at least one, in order, without overlaps.
        embeddings_FD: theirs, by the state's model.
        state: kept alive by the caller.
        evidence: what texts say, by the state's rows.
        selection: which tags are wanted, by their joined score.
        duration_s: of the video.
        explain: add explanations.
    """
    per_frame = Selection(selection.top_n + _SPARE_PER_FRAME, selection.min_score)
    hits_F = await state.index.search(embeddings_FD, [per_frame] * len(frames))
    starts_F = np.array([frame.start_s for frame in frames], np.float64)
    ends_F = np.array([frame.end_s for frame in frames], np.float64)
    rows = _candidates(hits_F, selection.top_n) | dict.fromkeys(evidence)
    scores_FK = await state.index.score_rows(embeddings_FD, list(rows))
    scored = _Scored(
        {row: k for k, row in enumerate(rows)},
        scores_FK,
        video_scores(scores_FK, starts_F, ends_F),
    )
    ranking = join(
        {row: float(scored.scores_K[k]) for row, k in scored.rows.items()},
        evidence,
        top_n=selection.top_n,
        min_score=selection.min_score,
    )
    explanations: Mapping[int, Explanation] = {}
    if explain:
        explanations = await _explanations(ranking, scored, embeddings_FD, state)
    interests = state.graph.interests
    tags = [
        VideoTag(
            ScoredTag(
                interests[one.row].id,
                interests[one.row].phrase,
                one.score,
                explanations.get(one.row),
            ),
            *_when(one.row, scored, frames, starts_F, ends_F, selection.min_score, duration_s),
        )
        for one in ranking
    ]
    frame_tags = tuple(
        picture_tags(hits[: selection.top_n], interests, explain=explain) for hits in hits_F
    )
    return ScoredVideo(tuple(tags), frame_tags)


def _candidates(hits_F: Sequence[Sequence[Hit]], top_n: int) -> dict[int, None]:
    """Rows that the video may be about, those with the best single frames first."""
    best: dict[int, float] = {}
    for hit in chain.from_iterable(hits_F):
        best[hit.row] = max(hit.score, best.get(hit.row, 0.0))
    ranked = sorted(best, key=lambda row: (-best[row], row))
    return dict.fromkeys(ranked[: max(top_n * _CANDIDATE_RATIO, _MIN_CANDIDATES)])


def _when(
    row: int,
    scored: _Scored,
    frames: Sequence[Span],
    starts_F: Seconds,
    ends_F: Seconds,
    min_score: float,
    duration_s: float,
) -> tuple[tuple[Interval, ...], float | None, float]:
    """Intervals, best time and share of one tag."""
    k = scored.rows[row]
    shown = showing(
        scored.scores_FK[:, k],
        starts_F,
        ends_F,
        score=float(scored.scores_K[k]),
        min_score=min_score,
        duration_s=duration_s,
    )
    best_time_s = frames[shown.best_frame].time_s if shown.intervals else None
    return shown.intervals, best_time_s, shown.share


async def _explanations(
    ranking: Sequence[JoinedRow], scored: _Scored, embeddings_FD: Embeddings, state: ServingState
) -> dict[int, Explanation]:
    """How each score came about, by row: the numbers of the tag's best frame."""
    if not ranking:
        return {}
    best_B = [int(scored.scores_FK[:, scored.rows[one.row]].argmax()) for one in ranking]
    # None above 1 but the one that is asked for.
    selections = [Selection(0, 1.0, (one.row,)) for one in ranking]
    hits_B = await state.index.search(embeddings_FD[best_B], selections)
    interests = state.graph.interests
    found = {}
    for one, hits in zip(ranking, hits_B, strict=True):
        (tag,) = picture_tags(hits, interests, explain=True)
        assert tag.explanation is not None
        score = float(scored.scores_K[scored.rows[one.row]])
        # Neither 0 nor 1 has a logit.
        score = min(max(score, 1e-7), 1 - 1e-7)
        logit = float(np.log(score) - np.log1p(-score))
        found[one.row] = replace(tag.explanation, calibrated_logit=logit, evidence=one.evidence)
    return found
