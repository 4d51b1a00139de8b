"""Small random models of every architecture, with trained tokenizers, saved as Hub-format folders."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from gpteval.tokens.queries import ScoreQuery, Tokens
from tests.forks import FOLDER

TEXT = [
    "The quick brown fox jumps over the lazy dog, and the dog sleeps on.",
    "Question: what is the capital of France?\nAnswer: Paris",
    "A man in an orange hat is staring at something in the sky.",
    "Une femme lit un journal à la fenêtre; elle sourit.",
    "0 1 2 3 4 5 6 7 8 9 (one, two, three) [four] {five} / six \\ seven + eight = nine",
]
ARCHITECTURES = ("openai-gpt", "gpt2", "gpt_neo", "gptj", "gpt_neox", "opt")


def byte_level_tokenizer() -> Any:
    """A GPT-2-like byte-level BPE with <|endoftext|> as bos and eos."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    raw = Tokenizer(models.BPE())
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    raw.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=["<|endoftext|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    raw.train_from_iterator(TEXT * 4, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=raw, bos_token="<|endoftext|>", eos_token="<|endoftext|>", clean_up_tokenization_spaces=False
    )


def opt_tokenizer() -> Any:
    """A byte-level BPE that puts its bos token before every text, as OPT's does."""
    from tokenizers import processors

    tokenizer = byte_level_tokenizer()
    start = tokenizer.bos_token_id
    tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single="<|endoftext|> $A", pair="<|endoftext|> $A $B", special_tokens=[("<|endoftext|>", start)]
    )
    return tokenizer


def gpt1_tokenizer(*, newline_token: bool = True) -> Any:
    """A GPT-1-like BPE: lower-cases, strips accents, turns newlines into spaces, has no special tokens but <unk>."""
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    raw = Tokenizer(models.BPE(unk_token="<unk>", end_of_word_suffix="</w>"))
    raw.normalizer = normalizers.BertNormalizer(lowercase=True)
    raw.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    raw.decoder = decoders.BPEDecoder(suffix="</w>")
    special = ["<unk>", "\n</w>"] if newline_token else ["<unk>"]
    trainer = trainers.BpeTrainer(
        vocab_size=300, special_tokens=["<unk>"], end_of_word_suffix="</w>", show_progress=False
    )
    raw.train_from_iterator(TEXT * 4, trainer)
    if len(special) > 1:
        import json

        state = json.loads(raw.to_str())
        state["model"]["vocab"]["\n</w>"] = len(state["model"]["vocab"])
        raw = Tokenizer.from_str(json.dumps(state))
    return PreTrainedTokenizerFast(tokenizer_object=raw, unk_token="<unk>", clean_up_tokenization_spaces=False)


def _config(architecture: str, vocabulary: int, window: int) -> Any:
    import transformers as t

    none = {"bos_token_id": None, "eos_token_id": None, "pad_token_id": None}
    ends = {"bos_token_id": 0, "eos_token_id": 0}
    common = {"vocab_size": vocabulary}
    small = {"n_positions": window, "n_embd": 32, "n_layer": 2, "n_head": 4}
    hidden = {"hidden_size": 32, "num_hidden_layers": 2, "max_position_embeddings": window}
    return {
        "openai-gpt": lambda: t.OpenAIGPTConfig(**common, **small, **none),
        "gpt2": lambda: t.GPT2Config(**common, **small, **ends),
        "gpt_neo": lambda: t.GPTNeoConfig(
            **common,
            hidden_size=32,
            num_layers=2,
            num_heads=4,
            attention_types=[[["global", "local"], 1]],
            window_size=8,
            max_position_embeddings=window,
            **ends,
        ),
        "gptj": lambda: t.GPTJConfig(**common, **small, rotary_dim=4, **ends),
        "gpt_neox": lambda: t.GPTNeoXConfig(
            **common, **hidden, num_attention_heads=4, intermediate_size=64, rotary_pct=0.5, **ends
        ),
        "opt": lambda: t.OPTConfig(
            **common, **hidden, num_attention_heads=4, ffn_dim=64, word_embed_proj_dim=32, pad_token_id=1, **ends
        ),
        "mistral": lambda: t.MistralConfig(
            **common,
            **hidden,
            num_attention_heads=4,
            num_key_value_heads=2,
            head_dim=8,
            intermediate_size=64,
            sliding_window=40,
            **ends,
        ),
    }[architecture]()


def save_tiny(
    folder: Path,
    architecture: str = "gpt2",
    *,
    window: int = 48,
    seed: int = 0,
    tokenizer: Any = None,
    **overrides: Any,
) -> Path:
    """Save a random 2-layer model and tokenizer to ``folder``. Weights are large enough that greedy text varies."""
    if tokenizer is not None:
        return _save(folder, architecture, window, seed, tokenizer, overrides)
    made = _made(architecture, window, seed, json.dumps(overrides, sort_keys=True))
    shutil.copytree(made, folder, copy_function=shutil.copyfile, dirs_exist_ok=True)
    return folder


@cache
def _made(architecture: str, window: int, seed: int, overrides: str) -> Path:
    """The same with a tokenizer of its kind, once in a process."""
    tokenizer = {"openai-gpt": gpt1_tokenizer, "opt": opt_tokenizer}.get(architecture, byte_level_tokenizer)()
    folder = Path(tempfile.mkdtemp(prefix="tiny-", dir=os.environ.get(FOLDER)))
    return _save(folder, architecture, window, seed, tokenizer, json.loads(overrides))


def _save(
    folder: Path, architecture: str, window: int, seed: int, tokenizer: Any, overrides: Mapping[str, Any]
) -> Path:
    import torch
    from transformers import AutoModelForCausalLM

    config = _config(architecture, len(tokenizer), window)
    config.update(overrides)
    torch.manual_seed(seed)
    model = AutoModelForCausalLM.from_config(config).eval()
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if weight.dim() > 1:
                weight.normal_(std=0.3 if "emb" in name or "wte" in name or "wpe" in name else 0.25)
    model.tie_weights()
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def score_row(context: Iterable[int], targets: Iterable[int]) -> ScoreQuery:
    return ScoreQuery(Tokens(context), Tokens(targets))
