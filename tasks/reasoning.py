"""Reasoning in several steps: the answer stands at the end of what is written, behind a mark."""

from __future__ import annotations

import re

from gpteval import Generate, Item, hub, task

# What its authors take as the answer, a number behind four hashes; a currency before it is passed over.
ANSWER = r"####\s*([-−]?\s?[$€£]?\s?\.?\d[\d,]*(?:\.\d+)?)"  # the minus sign
_CALCULATED = re.compile(r"<<.*?>>")  # what the authors' calculator was told

# Five problems with their steps, in the form of the data, written for gpteval: the GPT-4 report shows none of its own.
EXAMPLES = """\
Question: A ferry takes 24 cars on each crossing and makes 9 crossings a day. On Monday every crossing was full, on \
Tuesday it took 37 cars fewer. How many cars did it take on both days together?
Answer: On Monday it took 24 * 9 = 216 cars.
On Tuesday it took 216 - 37 = 179 cars.
Together that is 216 + 179 = 395 cars.
#### 395

Question: Ines buys 3 notebooks at $2.50 each and a pen for $1.75. She pays with a $10 bill. How many cents does she \
get back?
Answer: The notebooks cost 3 * 2.50 = $7.50.
With the pen she pays 7.50 + 1.75 = $9.25.
She gets back 10 - 9.25 = $0.75, which is 75 cents.
#### 75

Question: A tank holds 840 litres and is one third full. A pump adds 35 litres a minute. After how many minutes is it \
full?
Answer: One third of 840 litres is 840 / 3 = 280 litres.
So 840 - 280 = 560 litres are missing.
At 35 litres a minute that takes 560 / 35 = 16 minutes.
#### 16

Question: In a class of 30 pupils 60% play an instrument. Half of those who play one also sing, and 4 pupils who play \
none sing. How many pupils sing?
Answer: 30 * 0.6 = 18 pupils play an instrument.
Half of them, 18 / 2 = 9, sing.
With the 4 others 9 + 4 = 13 pupils sing.
#### 13

Question: Omar is 7 years older than his sister. In 5 years he will be twice as old as she is then. How old is he now?
Answer: In 5 years he is still 7 years older, and twice as old as she is, so she is 7 then.
He is then 2 * 7 = 14.
Now he is 14 - 5 = 9.
#### 9

"""


@task(
    family="qa",
    source=hub("openai/gsm8k", "main", split="test"),
    shots=5,
    shots_from="train",
    metric="number_match",
    metrics=["last_number"],
    answer=ANSWER,
    licence="MIT",
)
def gsm8k(item: Item) -> Generate:
    """Grade-school word problems, solved in steps (Cobbe et al. 2021); the number behind "####" counts."""
    solution = _CALCULATED.sub("", item["answer"])
    return Generate(f"Question: {item['question']}\nAnswer:", [solution], stop=["Question:"], max_new_tokens=400)


gsm8k.as_in("gpt4-paper", preamble=EXAMPLES, shots_inside=5)(gsm8k.prompt)
