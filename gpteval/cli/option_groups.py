"""Options that belong together, as dataclasses: a command asks for a group, and has its options.

    def run(models: Models, weights: WeightsAs, ...):   # --device --allow-pickle ... --dtype

An option is declared once, so it has one name, type, default and text in every command that has it.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, fields, is_dataclass
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_args, get_type_hints

import typer
from typer.models import OptionInfo

from gpteval.cli.completion import completer
from gpteval.cli.options import Device, Temperature
from gpteval.cli.voice import speak
from gpteval.core.errors import UsageError
from gpteval.data.downloads import set_hub_timeout

if TYPE_CHECKING:
    from gpteval.backends.api_options import ApiOptions
    from gpteval.backends.chat_options import ChatOptions
    from gpteval.backends.repeats import Repeats
    from gpteval.models.loader import LoadOptions


BEFORE = {"default": "text", "text": "text", "letters": "letters", "both": "both"}  # of --protocol


def _hub_timeout(seconds: int | None) -> int | None:
    if seconds:
        set_hub_timeout(seconds)
    return seconds


@dataclass(frozen=True)
class Weights:
    """How a model's weights are had."""

    device: Device = "auto"
    allow_pickle: Annotated[
        bool, typer.Option("--allow-pickle", help="load .bin weights: a pickle can run any code")
    ] = False
    trust_remote_code: Annotated[
        bool, typer.Option("--trust-remote-code", help="run code from the model's repository")
    ] = False
    hub_timeout: Annotated[
        int | None,
        typer.Option(
            min=1,
            callback=_hub_timeout,
            help="seconds to wait for each answer of the Hugging Face Hub; default: 10",
        ),
    ] = None
    vllm_args: Annotated[
        str,
        typer.Option("--vllm-args", help="of vllm: models: arguments of vLLM's LLM, such as tensor_parallel_size=2"),
    ] = ""

    def load(self, *, dtype: str = "auto", tokenizer: str = "") -> LoadOptions:
        """As models are loaded with it. Raises UsageError."""
        from gpteval.models.loader import LoadOptions

        return LoadOptions(self.device, dtype, self.allow_pickle, self.trust_remote_code, tokenizer, self.vllm_args)


@dataclass(frozen=True)
class WeightsAs(Weights):
    """The same for commands that leave the precision open."""

    dtype: Annotated[str, typer.Option(help="auto, float32, bfloat16 or float16; auto is float32 on a CPU")] = "auto"

    def load(self, *, dtype: str = "", tokenizer: str = "") -> LoadOptions:
        return super().load(dtype=dtype or self.dtype, tokenizer=tokenizer)


@dataclass(frozen=True)
class Server:
    """How an API is asked, and what may be spent."""

    base_url: Annotated[
        str, typer.Option(help="of openai: and completions: models, the server's address up to /v1")
    ] = ""
    api_key_file: Annotated[Path | None, typer.Option(help="instead of the variable OPENAI_API_KEY")] = None
    in_flight: Annotated[int, typer.Option(min=1, help="requests to an API at a time, at most")] = 16
    max_cost: Annotated[float | None, typer.Option(min=0.0, help="dollars that this command may spend on APIs")] = None
    prices: Annotated[Path | None, typer.Option(help="a CSV file of prices that goes before the shipped one")] = None
    batch: Annotated[
        bool, typer.Option("--batch", help="ask chats by OpenAI's batch interface: at half the price, within a day")
    ] = False

    def options(self, tokenizer: str) -> ApiOptions:
        """As an API is asked with it. Raises UsageError."""
        from gpteval.backends.api_options import ApiOptions

        return ApiOptions(
            *(self.base_url, tokenizer, self.api_key_file, self.in_flight, self.max_cost, self.prices),
            batch=self.batch,
        )


@dataclass(frozen=True)
class Chats:
    """How chats are asked."""

    protocol: Annotated[
        str,
        typer.Option(help="raw, or chat: models that are loaded here are asked by their chat template, as chat:NAME"),
    ] = "raw"
    system: Annotated[str, typer.Option(help="what chats are told before all else")] = ""
    shots_as: Annotated[
        str, typer.Option(help="examples of chats: text, in one message, or turns of a conversation")
    ] = "text"
    thinking: Annotated[
        bool, typer.Option("--thinking", help="let chats that are loaded here think before they answer")
    ] = False

    def options(self) -> ChatOptions:
        """Raises UsageError."""
        from gpteval.backends.chat_options import ChatOptions

        return ChatOptions(self.system, self.shots_as, self.thinking)

    def models(self, names: tuple[str, ...]) -> tuple[str, ...]:
        """As they are asked. Raises UsageError."""
        from gpteval.models.catalogue import as_chats

        if self.protocol not in ("raw", "chat", *BEFORE):
            raise UsageError(f"--protocol is raw or chat, not {self.protocol!r}")
        return as_chats(names) if self.protocol == "chat" else names

    def choices(self, choices: str) -> str:
        """What ``--choices`` says; in the version before, ``--protocol`` was its name."""
        return BEFORE.get(self.protocol, choices)


@dataclass(frozen=True)
class Drawn:
    """How texts are drawn, and how often."""

    repeats: Annotated[
        int, typer.Option(min=1, help="answers to each prompt that asks for a text; their mean counts")
    ] = 1
    temperature: Temperature = None

    def options(self) -> Repeats:
        """Raises UsageError."""
        from gpteval.backends.repeats import Repeats

        default = 1.0 if self.repeats > 1 else 0.0
        return Repeats(self.repeats, default if self.temperature is None else self.temperature)


@dataclass(frozen=True)
class Agreed:
    """Whether what is served is held to the weights that are here."""

    agree: Annotated[
        str, typer.Option(help="the weights here of served models: 32 items are asked of both before the run")
    ] = ""
    agree_within: Annotated[
        float | None, typer.Option(min=0.0, help="refuse a served model beyond so many nats a token of --agree's")
    ] = None


@dataclass(frozen=True)
class Kept:
    """What of a run is shared and shown."""

    no_cache: Annotated[bool, typer.Option("--no-cache", help="neither read nor fill the cache shared by runs")] = False
    no_report: Annotated[bool, typer.Option("--no-report", help="do not write report.html")] = False


@dataclass(frozen=True)
class Told:
    """How much the command tells of its work, and to whom. Raises UsageError."""

    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="tell of warnings and failures alone")] = False
    progress: Annotated[
        str, typer.Option(help="on stderr: text for people, or json, one object a line, for programs")
    ] = "text"

    def __post_init__(self) -> None:
        speak(quiet=self.quiet, form=self.progress)


def grouped(command: Callable[..., None]) -> Callable[..., None]:
    """The command as typer reads it: in the place of each group, its options; with what is offered for their values."""
    hints = get_type_hints(command, include_extras=True)
    groups = {name: hint for name, hint in hints.items() if inspect.isclass(hint) and is_dataclass(hint)}
    parameters: list[inspect.Parameter] = []
    for name, parameter in inspect.signature(command).parameters.items():
        if name not in groups:
            parameters.append(parameter.replace(kind=parameter.KEYWORD_ONLY, annotation=hints[name]))
            continue
        of_group = get_type_hints(groups[name], include_extras=True)
        parameters += [
            inspect.Parameter(one.name, parameter.KEYWORD_ONLY, default=one.default, annotation=of_group[one.name])
            for one in fields(groups[name])
        ]

    @wraps(command)
    def called(**given: Any) -> None:
        made = {
            name: group(**{one.name: given.pop(one.name) for one in fields(group)}) for name, group in groups.items()
        }
        command(**given, **made)

    for one in parameters:
        for declared in get_args(one.annotation)[1:]:
            if isinstance(declared, OptionInfo) and declared.autocompletion is None:
                named = (declared.default, *(declared.param_decls or ()))  # its first name stands where defaults do
                flags = [flag for flag in named if isinstance(flag, str) and flag.startswith("-")]
                declared.autocompletion = completer(command.__name__, flags or [f"--{one.name.replace('_', '-')}"])
    called.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    called.__annotations__ = {one.name: one.annotation for one in parameters}
    del called.__wrapped__  # whose parameters are others
    return called
