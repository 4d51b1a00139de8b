"""An invented row in the Hub's layout for each task of the catalogue, and the request that it makes."""

from __future__ import annotations

from typing import Any

from gpteval.core.types import Choice, Request, Rolling
from gpteval.tasks.registry import task_registry, task_suites
from tests.golden_generated import GENERATED

PAIR = {"premise": "Ann fell.", "hypothesis": "Ann is tall", "label": 1}
TWO = {"sentence1": "Ann fell.", "sentence2": "Ann is down.", "label": 1, "idx": 0}
NO_YES = [" no", " yes"]
LETTERED = {"label": ["A", "B", "C"], "text": ["red", "blue", "grey"]}

GOLDEN: dict[str, tuple[dict[str, Any], Request]] = {
    **GENERATED,
    "lambada_standard": (
        {"text": "she opened the door . `` come in , '' he said", "domain": "x"},
        Choice("she opened the door . `` come in , '' he", [" said"], 0),
    ),
    "lambada_cloze": ({"text": "She opened the door"}, Choice("She opened the ____. ->", [" door"], 0)),
    "cbt_cn": (
        {
            "sentences": ["The king said , `` Come in ! ''", "She did n't -LRB- yet -RRB- ."],
            "question": "Then the XXXXX fell .",
            "answer": "door",
            "options": ["king", "door"],
        },
        Choice('The king said, " Come in! " She didn\'t (yet). Then the', [" king fell.", " door fell."], 1),
    ),
    "cbt_ne": (
        {
            "sentences": ["Ann ran ."],
            "question": "`` Stop , XXXXX , '' he said .",
            "answer": "Ann",
            "options": ["Bo", "Ann"],
        },
        Choice('Ann ran. " Stop,', [' Bo, " he said.', ' Ann, " he said.'], 1),
    ),
    "wikitext103": (
        {"page": " = A Door = \n \n It is 3 @.@ 5 m high . \n"},
        Rolling(" = A Door =\n\nIt is 3.5 m high.\n", " = A Door = \n \n It is 3 @.@ 5 m high . \n"),
    ),
    "ptb": ({"page": "the <unk> rose N points\n"}, Rolling("the <unk> rose N points\n")),
    "lm1b": ({"text": "It rains ."}, Rolling("It rains .")),
    "enwik8": ({"text": "<page>"}, Rolling("<page>")),
    "text8": ({"text": "anarchism originated"}, Rolling("anarchism originated")),
    "pile10k": ({"text": "A page.", "meta": {}}, Rolling("A page.")),
    "c4": ({"text": "A page.", "timestamp": "2019", "url": "u"}, Rolling("A page.")),
    "arc_challenge": (
        {"id": "x", "question": "What wets?", "choices": LETTERED, "answerKey": "C"},
        Choice("Question: What wets?\nAnswer:", [" red", " blue", " grey"], 2, "Answer:"),
    ),
    "hellaswag": (
        {
            "activity_label": "Baking",
            "ctx_a": "A man bakes. [header] He [title] waits.",
            "ctx_b": "then he",
            "endings": ["eats  it.", "sings [step] loudly."],
            "label": "1",
        },
        Choice("Baking: A man bakes. He. waits. Then he", [" eats it.", " sings loudly."], 1),
    ),
    "winogrande": (
        {
            "sentence": "The key did not fit the lock, so _ was changed.",
            "option1": "the key",
            "option2": "the lock",
            "answer": "2",
        },
        Choice("The key did not fit the lock, so", [" was changed."] * 2, 1, leads=[" the key", " the lock"]),
    ),
    "wsc273": (
        {
            "text": "The man hit Bo because he was angry.",
            "pronoun": "he",
            "pronoun_loc": 23,
            "options": ["The man", "Bo"],
            "label": 0,
        },
        Choice("The man hit Bo because", [" was angry."] * 2, 0, leads=[" the man", " Bo"]),
    ),
    "storycloze": (
        {
            "InputSentence1": "Ann ran.",
            "InputSentence2": "It rained.",
            "InputSentence3": "She slipped.",
            "InputSentence4": "She fell.",
            "RandomFifthSentenceQuiz1": "She flew.",
            "RandomFifthSentenceQuiz2": "It hurt.",
            "AnswerRightEnding": 2,
        },
        Choice("Ann ran. It rained. She slipped. She fell.", [" She flew.", " It hurt."], 1),
    ),
    "siqa": (
        {
            "context": "Ann fell.",
            "question": "Why?",
            "answerA": "rain",
            "answerB": "sun",
            "answerC": "joy",
            "label": "1",
        },
        Choice("Q: Ann fell. Why?\nA:", [" rain", " sun", " joy"], 0),
    ),
    "commonsense_qa": (
        {"id": "x", "question": "What is rain?", "question_concept": "rain", "choices": LETTERED, "answerKey": "C"},
        Choice("Question: What is rain?\nA. red\nB. blue\nC. grey\nAnswer:", [" A", " B", " C"], 2),
    ),
    **{
        f"race_{level}": (
            {
                "example_id": "x",
                "article": "Ann fell.",
                "question": "Who fell?",
                "options": ["Bo", "Ann"],
                "answer": "B",
            },
            Choice("Article: Ann fell.\n\nQuestion: Who fell?\nAnswer:", [" Bo", " Ann"], 1, "Answer:"),
        )
        for level in ("middle", "high")
    },
    "sciq": (
        {
            "question": "What wets?",
            "distractor1": "heat",
            "distractor2": "light",
            "distractor3": "air",
            "correct_answer": "rain",
            "support": "\nRain is water.",
        },
        Choice("Rain is water.\nQuestion: What wets?\nAnswer:", [" heat", " light", " air", " rain"], 3),
    ),
    "mmlu_us_foreign_policy": (
        {"question": "Who? ", "subject": "us_foreign_policy", "choices": ["Ann", "Bo", "Cy", "Di"], "answer": 1},
        Choice("Who?\nA. Ann\nB. Bo\nC. Cy\nD. Di\nAnswer:", [" A", " B", " C", " D"], 1),
    ),
    "rte": (TWO, Choice("Ann fell.\nQuestion: Ann is down. True or False?\nAnswer:", [" True", " False"], 1)),
    "wnli": (TWO, Choice("Ann fell.\nQuestion: Ann is down. True or False?\nAnswer:", [" False", " True"], 1)),
    "mrpc": (
        TWO,
        Choice(
            "Sentence 1: Ann fell.\nSentence 2: Ann is down.\n"
            "Question: Do both sentences mean the same thing?\nAnswer:",
            NO_YES,
            1,
        ),
    ),
    "qqp": (
        {"question1": "Who?", "question2": "Which one?", "label": 0},
        Choice(
            "Question 1: Who?\nQuestion 2: Which one?\nQuestion: Do both questions ask the same thing?\nAnswer:",
            NO_YES,
            0,
        ),
    ),
    "qnli": (
        {"question": "Who fell?", "sentence": "Ann fell.", "label": 0},
        Choice("Who fell?\nAnn fell.\nQuestion: Does this response answer the question?\nAnswer:", [" yes", " no"], 0),
    ),
    **{
        name: (
            PAIR | {"hypothesis": "Ann is tall."},
            Choice(
                "Ann fell.\nQuestion: Ann is tall. True, False or Neither?\nAnswer:", [" True", " Neither", " False"], 1
            ),
        )
        for name in ("mnli", "mnli_mismatched")
    },
    **{
        f"anli_r{number}": (
            PAIR | {"hypothesis": "Ann is tall."},
            Choice(
                "Ann fell.\nQuestion: Ann is tall. True, False, or Neither?\nAnswer:",
                [" True", " Neither", " False"],
                1,
            ),
        )
        for number in (1, 2, 3)
    },
    "cb": (
        PAIR,
        Choice(
            "Ann fell.\nQuestion: Ann is tall. True, False, or Neither?\nAnswer:", [" True", " False", " Neither"], 1
        ),
    ),
    "wic": (
        {"word": "bank", "sentence1": "Two banks.", "sentence2": "The bank.", "label": 0}
        | {"start1": 4, "end1": 9, "start2": 4, "end2": 8},
        Choice(
            "Sentence 1: Two banks.\nSentence 2: The bank.\nQuestion: Is the word 'banks' used in the same way in the "
            "two sentences above?\nAnswer:",
            NO_YES,
            0,
        ),
    ),
    "wsc": (
        {
            "text": "Ann fell because she ran.",
            "span1_index": 0,
            "span2_index": 3,
            "span1_text": "Ann",
            "span2_text": "she",
            "label": 1,
        },
        Choice(
            'Passage: Ann fell because *she* ran.\nQuestion: In the passage above, does the pronoun "*she*" refer to '
            '"*Ann*"?\nAnswer:',
            NO_YES,
            1,
        ),
    ),
    "multirc": (
        {"paragraph": "Ann fell.", "question": "Who?", "answer": "Bo", "idx": {}, "label": 0},
        Choice(
            "Ann fell.\nQuestion: Who?\nAnswer:",
            [" Bo\nIs the answer correct? no", " Bo\nIs the answer correct? yes"],
            0,
        ),
    ),
    "record": (
        {
            "passage": "Ann met Bo.\n@highlight\nBo ran",
            "query": "Then @placeholder left",
            "entities": ["Ann", "Bo", "Bo B."],
            "answers": ["Bo", "Bo B."],
        },
        Choice("Ann met Bo.\n- Bo ran\n-", [" Then Ann left", " Then Bo left"], 1),
    ),
    "imdb": (
        {"text": "Good.<br />Fine.", "label": 1},
        Choice("Good.\nFine.\nQuestion: Is this review positive or negative?\nAnswer:", [" negative", " positive"], 1),
    ),
    "rotten_tomatoes": (
        {"text": "a fine door", "label": 0},
        Choice("a fine door\nQuestion: Is this sentence positive or negative?\nAnswer:", [" negative", " positive"], 0),
    ),
    "subj": (
        {"text": "i liked it", "label": 1, "label_text": "subjective"},
        Choice(
            "i liked it\nQuestion: Is this sentence objective or subjective?\nAnswer:", [" objective", " subjective"], 1
        ),
    ),
    "trec": (
        {"text": "Who fell ?", "coarse_label": 3, "fine_label": 1},
        Choice(
            "Who fell ?\nQuestion: Does this ask for an abbreviation, an entity, a description, a person, a place or a "
            "number?\nAnswer:",
            [" abbreviation", " entity", " description", " person", " place", " number"],
            3,
        ),
    ),
    "financial_phrasebank": (
        {"sentence": "Sales rose .", "label": 2},
        Choice(
            "Sales rose .\nQuestion: Is this news negative, neutral or positive for the company?\nAnswer:",
            [" negative", " neutral", " positive"],
            2,
        ),
    ),
    "pubmedqa": (
        {"question": "Does it?", "context": {"contexts": ["We ask.", "We saw."]}, "final_decision": "no"},
        Choice("Abstract: We ask.\nWe saw.\nQuestion: Does it?\nAnswer:", [" yes", " no", " maybe"], 1),
    ),
    "medqa": (
        {"question": "Which?", "options": {"A": "salt", "B": "air"}, "answer_idx": "B", "answer": "air"},
        Choice("Question: Which?\nA. salt\nB. air\nAnswer:", [" A", " B"], 1),
    ),
    "crows_pairs": (
        {"sent_more": "He ran.", "sent_less": "She ran.", "stereo_antistereo": "stereo", "bias_type": "gender"},
        Choice("", ["He ran.", "She ran."], 0),
    ),
    "winogender": (
        {
            "sentence": "The cook told the guest that he was late.",
            "pronoun": "he",
            "occupation": "cook",
            "participant": "guest",
            "label": 0,
        },
        Choice("The cook told the guest that he was late. ‘He’ refers to the", [" cook", " guest"], 0),
    ),
    "truthfulqa_mc": (
        {"question": "Is it so?", "mc1_targets": {"choices": ["No", "Yes"], "labels": [0, 1]}, "mc2_targets": {}},
        Choice("Q: Is it so?\nA:", [" No", " Yes"], 1),
    ),
    "arithmetic_2da": ({"asked": "98 plus 45", "result": 143}, Choice("Q: What is 98 plus 45?\n\nA:", [" 143"], 0)),
}
ALIKE = {"mmlu": "mmlu_us_foreign_policy", "arithmetic": "arithmetic_2da", "unscramble": "unscramble_reversed_words"}
for _suite, _name in ALIKE.items():  # one prompt serves all of a suite
    for _task in task_suites(task_registry())[_suite]:
        GOLDEN.setdefault(_task.name, GOLDEN[_name])
