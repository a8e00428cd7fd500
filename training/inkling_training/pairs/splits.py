"""Which items are for validation: given by the data, else chosen once and for all by a hash.

Items that show the same picture, or that the same author posted, stay together: what is learnt from
one must not be examined by the other. Near duplicates in other bytes are not told apart here.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence

from inkling_training.pairs.content import PictureItem, stable_hash, with_split

VAL_SHARE = 0.1


def assign_splits(
    items: Sequence[PictureItem], val_share: float = VAL_SHARE
) -> tuple[list[PictureItem], Counter[str]]:
    """Gives every item its split.

    Of a group that belongs together, one item given as "train" takes all to train; else one
    given as "val" takes all to val; else the hash of its author, or of its picture where no author
    is known, decides: neither a seed nor later items move it.

    Returns:
        The items in the same order, and how many were moved out of the split that they were given,
        by "val to train".
    """
    groups = _Groups()
    for item in items:
        groups.join(_picture(item), _author(item))
    given: dict[str, set[str]] = defaultdict(set)
    anchors: dict[str, str] = {}
    for item in items:
        root = groups.root(_picture(item))
        if item.split is not None:
            given[root].add(item.split)
        anchor = _author(item) or _picture(item)
        anchors[root] = min(anchors.get(root, anchor), anchor)
    moved: Counter[str] = Counter()
    assigned = []
    for item in items:
        root = groups.root(_picture(item))
        if "train" in given[root]:
            split = "train"
        elif "val" in given[root]:
            split = "val"
        else:
            split = "val" if stable_hash(anchors[root]) < val_share * 2**64 else "train"
        if item.split == "val" and split == "train":
            moved["val to train"] += 1
        assigned.append(with_split(item, split))
    return assigned, moved


def _picture(item: PictureItem) -> str:
    return f"picture/{item.digest}"


def _author(item: PictureItem) -> str | None:
    # "author" sorts before "picture": a group's anchor is an author where it has one.
    return None if item.content.author_id is None else f"author/{item.content.author_id}"


class _Groups:
    """Union-find (Tarjan 1975) over names."""

    def __init__(self) -> None:
        self._parents: dict[str, str] = {}

    def root(self, name: str) -> str:
        path = []
        parent = self._parents.setdefault(name, name)
        while parent != name:
            path.append(name)
            name, parent = parent, self._parents[parent]
        for passed in path:
            self._parents[passed] = name
        return name

    def join(self, first: str, second: str | None) -> None:
        one = self.root(first)
        if second is not None:
            self._parents[self.root(second)] = one
