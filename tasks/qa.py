"""Question answering: choices that are scored, and answers that are generated.

The prompts are lm-evaluation-harness's. Its ``acc`` is the unnormalised sum of log-probabilities and
its ``acc_norm`` our ``acc_char``; papers since GPT-J quote ``acc`` for PIQA, ARC-Easy, BoolQ and COPA and
``acc_norm`` for OpenBookQA and ARC-Challenge, so those are the primary metrics. GPT-3 used ``acc_token``, but
for ARC and OpenBookQA ``acc_uncond``.
"""

from __future__ import annotations

from functools import partial

from gpteval import Choice, Generate, Item, hub, task
from gpteval.prompts.letters import by_letter
from gpteval.tasks.forms import NORMALISED, lettered, spaced


def ask(question: str) -> str:
    """A question in the form that lm-evaluation-harness shares among its tasks."""
    return f"Question: {question}\nAnswer:"


@task(
    family="qa",
    source=hub("baber/piqa", split="validation"),
    shots_from="train",
    metric="acc",
    metrics=NORMALISED,
    licence="AFL 3.0",
    profiles=["lm-eval"],
)
def piqa(item: Item) -> Choice:
    """Physical common sense, two solutions to a goal (Bisk et al. 2020)."""
    return Choice(ask(item["goal"]), spaced([item["sol1"], item["sol2"]]), gold=item["label"])


@piqa.as_in("paper", metric="acc_token", metrics=(), shots=50)
def _(item: Item) -> Choice:
    return Choice(item["goal"], spaced([item["sol1"], item["sol2"]]), gold=item["label"])


@piqa.template("goal")
def _(item: Item) -> Choice:
    text = f"Goal: {item['goal']}\nSolution:"
    return Choice(text, spaced([item["sol1"], item["sol2"]]), gold=item["label"])


@piqa.template("plain")
def _(item: Item) -> Choice:
    return Choice(item["goal"], spaced([item["sol1"], item["sol2"]]), gold=item["label"])


@piqa.template("lettered")
def _(item: Item) -> Choice:
    return lettered(f"What is the better way? {item['goal']}", [item["sol1"], item["sol2"]], gold=item["label"])


arc = partial(task, family="qa", shots_from="train", licence="CC BY-SA 4.0")


@arc(
    source=hub("allenai/ai2_arc", "ARC-Easy", split="test"),
    metric="acc",
    metrics=[*NORMALISED, "acc_uncond"],
    profiles=["lm-eval"],
)
def arc_easy(item: Item) -> Choice:
    """Grade-school science questions, three to five choices (Clark et al. 2018)."""
    return _arc(item)


@arc(
    source=hub("allenai/ai2_arc", "ARC-Challenge", split="test"),
    metric="acc_char",
    metrics=["acc", *NORMALISED, "acc_uncond"],
    profiles=["lm-eval"],
)
def arc_challenge(item: Item) -> Choice:
    """Those that retrieval and word statistics get wrong (Clark et al. 2018)."""
    return _arc(item)


def _arc(item: Item) -> Choice:
    choices, gold = _exam(item)
    return Choice(ask(item["question"]), spaced(choices), gold, neutral="Answer:")


for _science in (arc_easy, arc_challenge):
    _science.as_in("paper", metric="acc_uncond", metrics=(), shots=50)(_arc)


arc_challenge.as_in("gpt4-paper", metric="acc", metrics=(), shots=25)(lambda item: by_letter(_arc(item)))


def _exam(item: Item) -> tuple[list[str], int]:
    """The choices of ARC and OpenBookQA, and the place of the right one."""
    choices = item["choices"]  # labelled A to E or 1 to 5
    return choices["text"], choices["label"].index(item["answerKey"])


@arc_easy.template("exam")
def _(item: Item) -> Choice:
    choices, gold = _exam(item)
    text = f"From a science exam: {item['question']}\nThe right answer:"
    return Choice(text, spaced(choices), gold, neutral="The right answer:")


@arc_easy.template("teacher")
def _(item: Item) -> Choice:
    choices, gold = _exam(item)
    text = f"The teacher asks: {item['question']}\nThe pupil knows:"
    return Choice(text, spaced(choices), gold, neutral="The pupil knows:")


@arc_easy.template("lettered")
def _(item: Item) -> Choice:
    return lettered(item["question"], *_exam(item), neutral="Answer:")


@task(
    family="qa",
    source=hub("allenai/openbookqa", "main", split="test"),
    shots_from="train",
    metric="acc_char",
    metrics=["acc", *NORMALISED, "acc_uncond"],
    licence="Apache 2.0",
    profiles=["lm-eval"],
)
def openbookqa(item: Item) -> Choice:
    """Elementary science that needs a second fact, four endings of a sentence (Mihaylov et al. 2018)."""
    choices, gold = _exam(item)
    return Choice(item["question_stem"], spaced(choices), gold, neutral="Answer:")


openbookqa.as_in("paper", metric="acc_uncond", metrics=(), shots=100)(openbookqa.prompt)


@openbookqa.template("question")
def _(item: Item) -> Choice:
    choices, gold = _exam(item)
    return Choice(ask(item["question_stem"]), spaced(choices), gold, neutral="Answer:")


@openbookqa.template("complete")
def _(item: Item) -> Choice:
    choices, gold = _exam(item)
    text = f"Complete the fact: {item['question_stem']}"
    return Choice(text, spaced(choices), gold, neutral="Complete the fact:")


@openbookqa.template("lettered")
def _(item: Item) -> Choice:
    return lettered(item["question_stem"], *_exam(item), neutral="Answer:")


@task(
    family="qa",
    source=hub("aps/super_glue", "boolq", split="validation"),
    shots_from="train",
    metric="acc",
    metrics=["macro_f1"],  # one-word labels: a normalisation by length would only favour the longer word
    cluster="passage",
    licence="CC BY-SA 3.0",
    profiles=["lm-eval"],
)
def boolq(item: Item) -> Choice:
    """Yes/no questions about a passage (Clark et al. 2019; SuperGLUE)."""
    return Choice(f"{item['passage']}\n{ask(item['question'] + '?')}", [" no", " yes"], gold=item["label"])


@boolq.as_in("paper", metrics=(), shots=32)
def _(item: Item) -> Choice:
    text = f"{item['passage']}\nquestion: {item['question']}?\nanswer:"
    return Choice(text, [" no", " yes"], gold=item["label"])


@boolq.template("true_false")
def _(item: Item) -> Choice:
    text = f'{item["passage"]}\nTrue or false: the answer to "{item["question"]}?" is yes.\nThis is'
    return Choice(text, [" false", " true"], gold=item["label"])


@boolq.template("question_first")
def _(item: Item) -> Choice:
    text = f"{item['question'].capitalize()}?\n{item['passage']}\nSo, yes or no?"
    return Choice(text, [" No", " Yes"], gold=item["label"])


@boolq.template("exam")
def _(item: Item) -> Choice:
    text = f"Read the passage, then answer yes or no.\n{item['passage']}\n{item['question']}?"
    return Choice(text, [" No", " Yes"], gold=item["label"])


@task(
    family="qa",
    source=hub("aps/super_glue", "copa", split="validation"),
    shots_from="train",
    metric="acc",
    metrics=NORMALISED,
    licence="BSD 2-clause",
)
def copa(item: Item) -> Choice:
    """The more plausible cause or effect of a premise (Roemmele et al. 2011; SuperGLUE)."""
    link = {"cause": "because", "effect": "therefore"}[item["question"]]
    premise = item["premise"].strip().removesuffix(".")
    endings = [mid_sentence(item["choice1"]), mid_sentence(item["choice2"])]
    return Choice(f"{premise} {link}", spaced(endings), gold=item["label"])


@copa.as_in("lm-eval")
def _(item: Item) -> Choice:  # any last character is dropped, and there are two spaces before an answer
    endings = [item[name][0].lower() + item[name][1:] for name in ("choice1", "choice2")]
    link = "because" if item["question"] == "cause" else "therefore"
    return Choice(f"{item['premise'].strip()[:-1]} {link}", spaced(spaced(endings)), gold=item["label"])


copa.as_in("paper", metric="acc_token", metrics=(), shots=32)(copa.prompt)


@copa.template("question")
def _(item: Item) -> Choice:
    asked = {"cause": "What was the cause?", "effect": "What happened then?"}[item["question"]]
    return Choice(f"{item['premise'].strip()} {asked}", spaced([item["choice1"], item["choice2"]]), gold=item["label"])


@copa.template("story")
def _(item: Item) -> Choice:
    link = {"cause": "This came about like this:", "effect": "And so it went on:"}[item["question"]]
    return Choice(f"{item['premise'].strip()} {link}", spaced([item["choice1"], item["choice2"]]), gold=item["label"])


@copa.template("lettered")
def _(item: Item) -> Choice:
    asked = {"cause": "What was the cause?", "effect": "What happened then?"}[item["question"]]
    return lettered(f"{item['premise'].strip()} {asked}", [item["choice1"], item["choice2"]], gold=item["label"])


def mid_sentence(sentence: str) -> str:
    """The sentence as it goes on after a link word: its first letter small."""
    return sentence if sentence.startswith(("I ", "I'")) else sentence[:1].lower() + sentence[1:]


@task(
    family="qa",
    source=hub("mandarjoshi/trivia_qa", "rc.nocontext", split="validation"),
    shots_from="train",
    metric="exact_match",
    metrics=["f1"],
    licence="Apache 2.0 (code); questions for research use",
    version=2,
)
def triviaqa(item: Item) -> Generate:
    """Trivia without a passage, any alias counts (Joshi et al. 2017; GPT-3's closed-book setting)."""
    return _trivia(item, ask("{}"))


def _trivia(item: Item, form: str) -> Generate:
    question = item["question"].strip().rstrip("?")
    answer = item["answer"]
    references = dict.fromkeys([answer["value"], *answer["aliases"]])
    return Generate(form.replace("{}", f"{question}?"), list(references), max_new_tokens=32)


@triviaqa.as_in("lm-eval", metric="exact_match_bare", metrics=())
def _(item: Item) -> Generate:
    return Generate(ask(f"{item['question']}?"), item["answer"]["aliases"], stop=["\n", ".", ","], max_new_tokens=256)


@triviaqa.as_in("paper", metrics=(), shots=64)
def _(item: Item) -> Generate:
    return _trivia(item, "Q: {}\n\nA:")


@triviaqa.template("short")
def _(item: Item) -> Generate:
    return _trivia(item, "Q: {}\nA:")


@triviaqa.template("quiz")
def _(item: Item) -> Generate:
    return _trivia(item, "Quiz master: {}\nGuest:")


@triviaqa.template("sentence")
def _(item: Item) -> Generate:
    return _trivia(item, "{} The answer is")


@task(
    family="qa",
    source=hub("stanfordnlp/web_questions", split="test"),
    shots_from="train",
    metric="exact_match",
    metrics=["f1"],
    licence="CC BY 4.0",
    version=2,
)
def webqs(item: Item) -> Generate:
    """Questions people typed into a search engine, any listed answer counts (Berant et al. 2013)."""
    return Generate(ask(item["question"]), item["answers"], max_new_tokens=32)


@webqs.as_in("lm-eval", metric="any_greedy", metrics=())
def _(item: Item) -> Choice:  # all accepted answers but those that another one begins
    answers: list[str] = []
    for answer in sorted(item["answers"]):
        if not answers or not answer.startswith(answers[-1]):
            answers.append(answer)
    return Choice(ask(item["question"]), spaced(answers), gold=0)


@webqs.as_in("paper", metrics=(), shots=64)
def _(item: Item) -> Generate:
    return Generate(f"Q: {item['question']}\n\nA:", item["answers"], max_new_tokens=32)


@webqs.template("short")
def _(item: Item) -> Generate:
    return Generate(f"Q: {item['question']}\nA:", item["answers"], max_new_tokens=32)


@webqs.template("search")
def _(item: Item) -> Generate:
    return Generate(f"Search: {item['question']}\nFound:", item["answers"], max_new_tokens=32)


@webqs.template("sentence")
def _(item: Item) -> Generate:
    return Generate(f"{item['question']} The answer is", item["answers"], max_new_tokens=32)


@task(
    family="qa",
    source=hub("google-research-datasets/nq_open", split="validation"),
    shots_from="train",
    metric="exact_match",
    metrics=["f1"],
    separator="\n",
    preamble="Answer these questions:\n\n",
    licence="CC BY-SA 3.0",
)
def nq_open(item: Item) -> Generate:
    """Questions to Google without a passage, any listed answer counts (Kwiatkowski et al. 2019; Lee et al. 2019)."""
    return Generate(f"Q: {item['question'].rstrip('?')}?\nA:", item["answer"], max_new_tokens=32)


@nq_open.as_in("paper", metrics=(), shots=64, preamble="", separator="\n\n")
def _(item: Item) -> Generate:
    return Generate(f"Q: {item['question'].rstrip('?')}?\n\nA:", item["answer"], max_new_tokens=32)
