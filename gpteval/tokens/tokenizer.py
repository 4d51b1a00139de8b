"""A tokenizer with the policies that make generations comparable: conditioning, newlines, end tokens."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cached_property
from itertools import accumulate
from typing import Any

_NEWLINES = re.compile(r"\s*\n\s*")
# What GPT-1's code wrote otherwise before it took a text apart (ftfy, and text_standardize of its text_utils.py).
_STANDARD = str.maketrans({"‘": "'", "’": "'", "‚": "'", "‛": "'", "´": "'", "“": '"', "”": '"', "„": '"', "‟": '"'})
_STANDARD |= str.maketrans({"—": "-", "–": "-", "―": "-", "…": "..."})
_PROBE = "Été à Noël.\nA b"


class Codec:
    """Text to token ids and back.

    ``prefix``: special tokens that the tokenizer itself puts before a text (OPT's ``</s>``).
    ``condition``: the token that an empty context is replaced by: bos, else eos, else None (GPT-1).

    Newlines: GPT-1's tokenizer turns them into spaces, so line breaks in prompts and stop strings
    would be lost. Its released code kept each run of white space with a newline as one token of its
    own, ``\\n</w>``; where a vocabulary has that token, so do we. Where a tokenizer loses newlines
    and has no such token, they are written as ``/``, the way verse is quoted in prose.
    ``lossy`` says that decoding does not give the text back (lower-casing, accents). What such a tokenizer
    should match or be compared with, stop strings and references, goes through it once (``round_trip``).
    """

    def __init__(self, tokenizer: Any, extra_eos: Sequence[int] = ()) -> None:
        self.tokenizer = tokenizer
        with_special = list(tokenizer("a")["input_ids"])
        plain = list(tokenizer("a", add_special_tokens=False)["input_ids"])
        start = with_special.index(plain[0]) if plain and plain[0] in with_special else 0
        self.prefix: tuple[int, ...] = tuple(with_special[:start])
        bos, eos = tokenizer.bos_token_id, tokenizer.eos_token_id
        self.condition: int | None = bos if bos is not None else eos
        self.eos: frozenset[int] = frozenset([*extra_eos, *([] if eos is None else [eos])])
        self.newline_token: int | None = None
        self.newline_mark: str | None = None
        if "\n" not in self.decode(tokenizer("a\nb", add_special_tokens=False)["input_ids"]):
            self.newline_token = tokenizer.get_vocab().get("\n</w>")
            if self.newline_token is None:
                self.newline_mark = " / "

    @cached_property
    def lossy(self) -> bool:
        return self.decode(self.encode([_PROBE])[0]).strip() != _PROBE

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """Token ids of each text, without special tokens. Lone surrogates, which are no text, become ``?``."""
        if not texts:
            return []
        texts = [text.encode("utf-8", "replace").decode("utf-8") for text in texts]
        if self.newline_token is not None:
            return self._encode_lines(texts)
        if self.newline_mark is not None:
            texts = [_NEWLINES.sub(self.newline_mark, text) for text in texts]
        ids: list[list[int]] = self.tokenizer(list(texts), add_special_tokens=False, verbose=False)["input_ids"]
        return ids

    def _encode_lines(self, texts: Sequence[str]) -> list[list[int]]:
        split = [_NEWLINES.split(text.translate(_STANDARD)) for text in texts]
        flat = self.tokenizer([line for lines in split for line in lines], add_special_tokens=False, verbose=False)[
            "input_ids"
        ]
        encoded, position = [], 0
        for lines in split:
            ids: list[int] = []
            for number in range(len(lines)):
                if number:
                    ids.append(self.newline_token)  # type: ignore[arg-type]
                ids.extend(flat[position])
                position += 1
            encoded.append(ids)
        return encoded

    def starts(self, text: str, count: int) -> list[int]:
        """Where in ``text`` each of its ``count`` tokens begins, in characters, never falling.

        Where newlines are written with a mark, places are scaled by the lengths; a tokenizer that tells no places has
        its tokens spread evenly.
        """
        written = text.encode("utf-8", "replace").decode("utf-8")
        if not getattr(self.tokenizer, "is_fast", False):
            return [len(text) * number // count for number in range(count)]
        places: list[int] = []
        lines = [(0, written)]
        if self.newline_token is not None:
            written = written.translate(_STANDARD)
            ends = [0, *(end for match in _NEWLINES.finditer(written) for end in match.span()), len(written)]
            lines = [(begin, written[begin:end]) for begin, end in zip(ends[::2], ends[1::2], strict=True)]
        elif self.newline_mark is not None:
            written = _NEWLINES.sub(self.newline_mark, written)
            lines = [(0, written)]
        found = self.tokenizer(
            [line for _, line in lines], add_special_tokens=False, return_offsets_mapping=True, verbose=False
        )["offset_mapping"]
        for number, ((begin, _), offsets) in enumerate(zip(lines, found, strict=True)):
            places += [begin] if number else []  # the newline itself
            places += [begin + start for start, _ in offsets]
        if len(places) != count:
            raise ValueError(f"the tokenizer reports {len(places)} places of {count} tokens")
        if self.newline_token is not None and len(written) != len(text):
            own = [place for place, c in enumerate(text) for _ in c.translate(_STANDARD)]
            places = [own[min(place, len(own) - 1)] for place in places]
        scale = 1.0 if self.newline_mark is None else len(text) / max(1, len(written))
        return [int(place * scale) for place in accumulate(places, max)]

    def decode(self, ids: Sequence[int]) -> str:
        """The text of ``ids``, special and added tokens included: what the model wrote is not hidden."""
        text: str = self.tokenizer.decode(list(ids), skip_special_tokens=False, clean_up_tokenization_spaces=False)
        return text

    def round_trip(self, text: str) -> str:
        """``text`` as this tokenizer writes it, between the white space at its ends.

        What it cannot write (an unknown token, nothing at all) stays as it is.
        """
        bare = text.strip(" ")
        ids = self.encode([bare])[0]
        written = self.decode(ids).strip(" ")
        if not written or self.tokenizer.unk_token_id in ids:
            return text
        start, end = text[: len(text) - len(text.lstrip(" "))], text[len(text.rstrip(" ")) :]
        return f"{start}{written}{end}"

    def stops(self, stop: Sequence[str]) -> tuple[str, ...]:
        """Stop strings as they appear in this tokenizer's decoded text."""
        return tuple(self.round_trip(text) for text in stop) if self.lossy else tuple(stop)

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader of the results should know of this tokenizer."""
        notes = []
        if self.lossy:
            notes.append("lossy tokenizer: its text is not the original's, so bits per byte flatter it")
        if self.condition is None:
            notes.append("no bos or eos token: the first token of a text without context is not scored")
        if self.newline_token is not None:
            notes.append("newlines are fed as the vocabulary's own newline token")
        if self.newline_mark is not None:
            notes.append("the tokenizer drops newlines: they are written as '/'")
        return tuple(notes)
