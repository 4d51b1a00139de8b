"""What a model's name may begin with (``openai:gpt-4o``), and which backend that names. Imports none of them."""

from __future__ import annotations

from functools import cache
from importlib.metadata import EntryPoint

from gpteval.core.plugins import named_points

LOCAL = ""  # of names without a prefix: catalogue names, folders, Hub ids
AS_CHAT = "chat"  # what stands behind it is such a name, too
GGUF = "gguf"  # a file that llama.cpp computes
VLLM = "vllm"  # a model that vLLM computes in this process
HERE = (LOCAL, AS_CHAT, GGUF, VLLM)  # of models whose weights are here
BUILTIN = {
    LOCAL: "gpteval.tune.local_backend:LocalBackend",
    AS_CHAT: "gpteval.chat.chat_engine:ChatEngine",
    GGUF: "gpteval.engine.llamacpp:LlamaCpp",
    VLLM: "gpteval.engine.vllm_engine:VllmEngine",
    "openai": "gpteval.api.chat:ChatBackend",
    "answers": "gpteval.backends.given_answers:GivenAnswers",
    "completions": "gpteval.api.completions:CompletionsBackend",
}


@cache
def prefixes() -> dict[str, EntryPoint]:
    """Where the backend of each prefix is; of an entry point of ``gpteval.backends``, its name is the prefix. Raises
    PluginError where one prefix names two.
    """
    return named_points("backend", BUILTIN)
