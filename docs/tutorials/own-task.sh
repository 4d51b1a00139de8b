#!/usr/bin/env bash
# From a CSV file to a table and a figure for a paper: a task of your own, with a metric of your own.
#
#     bash own-task.sh FOLDER        # writes into a new folder; needs no network, about a minute
set -euo pipefail
mkdir "$1" && cd "$1"

# 1. The data: a line an item. Any CSV file with a header will do.
cat > capitals.csv <<'CSV'
question,answer
The capital of France is,Paris
The capital of Italy is,Rome
The capital of Spain is,Madrid
The capital of Portugal is,Lisbon
The capital of Austria is,Vienna
The capital of Greece is,Athens
The capital of Norway is,Oslo
The capital of Sweden is,Stockholm
The capital of Finland is,Helsinki
The capital of Ireland is,Dublin
The capital of Poland is,Warsaw
The capital of Hungary is,Budapest
CSV

# 2. The task: what is asked of an item, and how an answer is scored. A score of each item from 0 to 1 is all that a
#    metric needs; intervals and tests follow from it.
cat > capitals.py <<'PYTHON'
from gpteval import Generate, MeanMetric, file, task


class FirstLetter(MeanMetric):
    """Share of answers that begin with the right letter."""

    name = "first_letter"
    kind = "binary"  # a score is 0 or 1
    floor = 0.0  # what guessing reaches

    def score(self, request, outcome):
        return float(outcome.text.strip()[:1] == request.references[0][:1])


@task(family="qa", source=file("capitals.csv"), metric=FirstLetter(), metrics=["exact_match"])
def capitals(item):
    """The capital of a country."""
    return Generate(f"{item['question']}", [item["answer"]], stop=["\n", "."], max_new_tokens=5)
PYTHON

# 3. Is it read as it is meant? What a model sees of the first item, and what stands in the way on this machine.
gpteval show capitals --task-dir . --model gpt2-nano
gpteval doctor --task-dir . | grep capitals

# 4. What would it take, and the run. Stopped at any moment, the same command goes on.
gpteval run --models nano --tasks capitals,nano_topic --task-dir . --shots 0,2 --limit 12 --out run --dry-run
gpteval run --models nano --tasks capitals,nano_topic --task-dir . --shots 0,2 --limit 12 --out run

# 5. Where was it wrong?
gpteval samples run --model gpt3-nano --task capitals --shots 2 --wrong --limit 2

# 6. Are the differences real? Twelve items show large ones only; how many would show one of ten points?
gpteval compare run --baseline gpt1-nano
gpteval plan --tasks capitals --task-dir . --run run --effect 10

# 7. Into the paper: a table with \toprule, and the report's figures as PDF (they need pip install 'gpteval[figures]',
#    and Chromium).
gpteval table run --tasks capitals --interval range --format latex > capitals.tex
gpteval report run --figures figures
ls capitals.tex figures/*.pdf
