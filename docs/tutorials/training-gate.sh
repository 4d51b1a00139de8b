#!/usr/bin/env bash
# From a training's checkpoints to a gate in CI that fails when it should: five ways in which it must.
#
#     bash training-gate.sh FOLDER   # writes into a new folder; needs no network, about two minutes
set -euo pipefail
mkdir "$1" && cd "$1"

# Runs a command that must end with this exit code.
ends_with() {
  local code=$1 found=0
  shift
  "$@" || found=$?
  [ "$found" = "$code" ] || { echo "exit code $found, not $code, of: $*" >&2; exit 1; }
}

# 1. A training, with a model kept on the way. Yours may be anything that `gpteval run --models` takes.
gpteval pretrain --recipe gpt2-nano --steps "${STEPS:-60}" --checkpoints 2 --out new --quiet

# 2. Its checkpoints on a few tasks, beside the model of last week: an embedded one stands for it here.
gpteval run --models 'new/step-*,gpt1-nano' --tasks nano_topic,nano_prose --limit 40 --out runs/new --quiet
gpteval table runs/new
last=$(ls -d new/step-* | sort -t- -k2 -n | tail -1 | xargs basename)

# 3. A gate that holds. In CI this line is all: its exit code decides, gates.xml shows the conditions.
ends_with 0 gpteval compare runs/new --gate "$last:nano_topic>=0.05" --junit gates.xml > comparison.txt

# 4. And five ways in which it must fail.
# A value below the bound:
ends_with 1 gpteval compare runs/new --gate "$last:nano_topic>=0.99" > /dev/null
# A perplexity above it (here bits a byte: less is better):
ends_with 1 gpteval compare runs/new --gate "$last:nano_prose<=0.01" > /dev/null
# A value that is good enough as it was seen, but not surely: 40 items are few.
ends_with 1 gpteval compare runs/new --gate "gpt1-nano:nano_topic>=0.5" --gate-by interval > /dev/null
# Worse than last week's, or not shown to be no worse:
ends_with 1 gpteval compare runs/new --no-worse-than gpt1-nano --margin 1 > /dev/null
# A task that failed has no result, and none is no pass:
mkdir tasks
cat > tasks/broken.py <<'PYTHON'
from gpteval import Choice, file, task


@task(family="qa", source=file("gone.jsonl"), metric="acc")
def gone(item):
    return Choice(item["question"], item["answers"], gold=item["gold"])
PYTHON
ends_with 1 gpteval run --models "new/$last" --tasks gone --task-dir tasks --out runs/new --limit 40 --quiet
ends_with 1 gpteval compare runs/new --gate "$last:gone>=0" > /dev/null
# And a gate that names what is not there is none: exit code 2, so that a typing error does not pass either.
ends_with 2 gpteval compare runs/new --gate "$last:nano_topik>=0.05" > /dev/null
echo "the gate holds where it should, and fails where it should"
