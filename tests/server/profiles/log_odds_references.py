"""Independent implementations of the log-odds ratio, run as their packages have it.

    scattertext 0.2.2   LogOddsRatioInformativeDirichletPrior(priors, sigma, scale_type="word")
                        .get_zeta_i_j_given_separate_counts: the full variance (eq. 19)
    convokit 5.0.0      FightingWords(prior=...)._bayes_compare_language: the approximation (eq. 20)

Both packages import half of a data scientist's shelf (spaCy, torch, ...), which the formula does
not need: they are installed with --no-deps, and what is not installed is an empty module here. The
formula that runs is theirs, unchanged.
"""

import contextlib
import importlib
import io
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

Counts = NDArray[np.float64]


def installed(package: str) -> bool:
    """Whether the package can be found."""
    return find_spec(package) is not None


def scattertext_z(first_K: Counts, second_K: Counts, prior_K: Counts) -> Counts:
    """z of each cluster by scattertext, [K]."""
    with _stubs(
        scattertext=_package("scattertext"),
        **{
            "scattertext.termranking": _module("scattertext.termranking", "AbsoluteFrequencyRanker")
        },
    ):
        module = importlib.import_module(
            "scattertext.termsignificance.LogOddsRatioInformativeDirichletPiror"
        )
        formula = module.LogOddsRatioInformativeDirichletPrior(
            prior_K, sigma=prior_K.sum(), scale_type="word"
        )
        return np.asarray(formula.get_zeta_i_j_given_separate_counts(first_K, second_K))


def convokit_z(first_K: Counts, second_K: Counts, prior_K: Counts) -> Counts:
    """z of each cluster by convokit, which keeps counts as float32, [K]."""
    package = _package("convokit")
    package.Transformer = object  # type: ignore[attr-defined]
    with _stubs(
        convokit=package,
        **{
            "convokit.model": _module("convokit.model", "Corpus", "CorpusComponent"),
            "cleantext": _module("cleantext", "clean"),
            **_missing("pandas"),
            **_missing("matplotlib", "pyplot"),
            **_missing("sklearn.feature_extraction.text", "CountVectorizer"),
        },
    ):
        module = importlib.import_module("convokit.fighting_words.fightingWords")
        words = module.FightingWords(
            text_func=str, cv=_Counted(first_K, second_K), prior=np.asarray(prior_K)
        )
        with contextlib.redirect_stdout(io.StringIO()):
            z = words._bayes_compare_language(["first"], ["second"])
    return np.array([z[f"{k}"] for k in range(len(prior_K))])


class _Counted:
    """A count vectoriser whose texts are counted already."""

    def __init__(self, first_K: Counts, second_K: Counts) -> None:
        self._counts_2K = np.stack([first_K, second_K])
        self.vocabulary_ = {f"{k}": k for k in range(len(first_K))}

    def fit_transform(self, texts: list[str]) -> "_Counted":
        assert len(texts) == 2
        return self

    def toarray(self) -> Counts:
        return self._counts_2K


def _package(name: str) -> ModuleType:
    """The package without what its __init__ imports; its modules are found where they lie."""
    spec = find_spec(name)
    assert spec is not None
    assert spec.origin is not None
    package = ModuleType(name)
    package.__path__ = [str(Path(spec.origin).parent)]
    return package


def _module(name: str, *names: str) -> ModuleType:
    module: Any = ModuleType(name)
    for attribute in names:
        setattr(module, attribute, object)
    return module  # type: ignore[no-any-return]


def _missing(name: str, *names: str) -> dict[str, ModuleType]:
    """Empty modules in place of one that is not installed, and of its parents."""
    parts = name.split(".")
    if installed(parts[0]):
        return {}
    stubs = {".".join(parts[: n + 1]): ModuleType(parts[n]) for n in range(len(parts))}
    stubs[name] = _module(name, *names)
    if name == "matplotlib":
        stubs["matplotlib.pyplot"] = ModuleType("matplotlib.pyplot")
    return stubs


@contextlib.contextmanager
def _stubs(**modules: ModuleType) -> Iterator[None]:
    """These modules while the block runs; afterwards nothing of it is left."""
    before = dict(sys.modules)
    sys.modules.update(modules)
    try:
        yield
    finally:
        for name in set(sys.modules) - set(before):
            if name.split(".")[0] in {"scattertext", "convokit", "cleantext"}:
                del sys.modules[name]
        for name in modules:
            if name in before:
                sys.modules[name] = before[name]
            else:
                sys.modules.pop(name, None)
