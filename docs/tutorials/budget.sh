#!/usr/bin/env bash
# A base model and a chat model behind an API, under one budget, to a report.
#
#     SERVER=http://localhost:8000/v1 OPENAI_API_KEY=… BASE=davinci-002 CHAT=gpt-4o-mini bash budget.sh FOLDER
#
# SERVER speaks OpenAI's language: it has /completions for BASE, which gives log-probabilities of what it reads, and
# /chat/completions for CHAT. PRICES is a file as below; what you pay is on your provider's page.
set -euo pipefail
: "${SERVER:?the address of a server, up to /v1}" "${BASE:?a base model of it}" "${CHAT:?a chat model of it}"
mkdir "$1" && cd "$1"
cat > prices.csv <<CSV
model,dollars_per_million_in,dollars_per_million_out,date
$BASE,${PRICE:-2},${PRICE:-2},2026-01-01
$CHAT,${PRICE:-2},${PRICE:-2},2026-01-01
CSV
models="completions:$BASE,openai:$CHAT"
asked=(--models "$models" --base-url "$SERVER" --prices prices.csv --tasks nano_topic,nano_en_fr --limit 12)

# 1. What can it cost at most? Nothing is asked yet.
gpteval run "${asked[@]}" --choices letters --out run --dry-run

# 2. Too small a budget: it stops before the request that could go beyond it, and says so. What was paid for is kept.
gpteval run "${asked[@]}" --choices letters --out run --max-cost "${TOO_LITTLE:-0.0005}" --quiet && exit 1

# 3. With enough the same command goes on: what has an answer is not asked again. Both are asked by letter, as chat
#    models need it, so that their numbers can be held against each other.
gpteval run "${asked[@]}" --choices letters --out run --max-cost "${ENOUGH:-1}"

# 4. Scores with what they cost, the pairs, and one file to send around.
gpteval table run
gpteval compare run
gpteval report run --out report.html
ls report.html
