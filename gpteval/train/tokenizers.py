"""Training the two tokenizers of the GPT generations on a sample of text."""

from __future__ import annotations

import json
import string
from collections.abc import Iterable
from typing import Any

END = "<|endoftext|>"
TOKENIZERS = ("byte-level BPE", "lower-case BPE")  # GPT-2's, GPT-1's


def train_tokenizer(kind: str, texts: Iterable[str], vocabulary: int) -> Any:
    """A ``PreTrainedTokenizerFast`` with at most ``vocabulary`` tokens.

    ``byte-level BPE`` is GPT-2's: lossless, with one end token. ``lower-case BPE`` is GPT-1's:
    lower-cased, without accents, words ended by ``</w>``, no bos, eos or pad token, and one token
    for line breaks (``\\n</w>``).
    """
    return _byte_level(texts, vocabulary) if kind == "byte-level BPE" else _lower_case(texts, vocabulary)


def _byte_level(texts: Iterable[str], vocabulary: int) -> Any:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    raw = Tokenizer(models.BPE())
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    raw.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=[END],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    raw.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=raw, bos_token=END, eos_token=END, clean_up_tokenization_spaces=False
    )


def _lower_case(texts: Iterable[str], vocabulary: int) -> Any:
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    raw = Tokenizer(models.BPE(unk_token="<unk>", end_of_word_suffix="</w>"))
    raw.normalizer = normalizers.BertNormalizer(lowercase=True)
    raw.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    texts = list(texts)
    seen = "".join({letter for text in texts for letter in raw.normalizer.normalize_str(text)})
    letters = sorted({*seen, *string.ascii_lowercase, *string.digits, *string.punctuation} - {*string.whitespace})
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary - 1,
        # Letters that end words are named here: the trainer numbers them in an order that differs from run to run.
        special_tokens=["<unk>", *(f"{letter}</w>" for letter in letters)],
        initial_alphabet=letters,
        end_of_word_suffix="</w>",
        show_progress=False,
    )
    raw.train_from_iterator(texts, trainer)
    state = json.loads(raw.to_str())
    state["added_tokens"] = [token for token in state["added_tokens"] if token["content"] == "<unk>"]
    state["model"]["vocab"]["\n</w>"] = len(state["model"]["vocab"])  # no text gives it: see models.tokenizer
    raw = Tokenizer.from_str(json.dumps(state))
    raw.decoder = decoders.BPEDecoder(suffix="</w>")
    return PreTrainedTokenizerFast(tokenizer_object=raw, unk_token="<unk>", clean_up_tokenization_spaces=False)
