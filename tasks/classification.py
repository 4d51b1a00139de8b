"""Classification: the label's words are scored as a continuation."""

from __future__ import annotations

from gpteval import Choice, Item, hub, task


@task(
    family="classification",
    source=hub("stanfordnlp/sst2", split="validation"),
    shots_from="train",
    metric="acc",
    metrics=["macro_f1"],
    licence="not stated; for research use",
    profiles=["lm-eval"],
)
def sst2(item: Item) -> Choice:
    """Sentiment of film reviews (Socher et al. 2013; GLUE), lm-evaluation-harness's prompt."""
    question = "Is this sentence positive or negative?"  # the sentence keeps its trailing space, as there
    text = f"{item['sentence']}\nQuestion: {question}\nAnswer:"
    return Choice(text, [" negative", " positive"], gold=item["label"], parts=(item["sentence"],))


@sst2.template("review")
def _(item: Item) -> Choice:
    return Choice(f"Review: {item['sentence'].strip()}\nSentiment:", [" bad", " good"], gold=item["label"])


@sst2.template("verdict")
def _(item: Item) -> Choice:
    return Choice(f"{item['sentence'].strip()} All in all, the film was", [" terrible", " great"], gold=item["label"])


@sst2.template("critic")
def _(item: Item) -> Choice:
    text = f'A critic wrote: "{item["sentence"].strip()}"\nDid the critic like the film?'
    return Choice(text, [" No", " Yes"], gold=item["label"])


@task(
    family="classification",
    source=hub("nyu-mll/glue", "cola", split="validation"),
    shots_from="train",
    metric="mcc",
    metrics=["acc"],
    licence="not stated; for research use",
    profiles=["lm-eval"],
)
def cola(item: Item) -> Choice:
    """Grammatical acceptability (Warstadt et al. 2018; GLUE), lm-evaluation-harness's prompt."""
    question = "Does this sentence make sense?"
    text = f"{item['sentence']}\nQuestion: {question}\nAnswer:"
    return Choice(text, [" no", " yes"], gold=item["label"], parts=(item["sentence"],))


@cola.template("acceptable")
def _(item: Item) -> Choice:
    return Choice(f"{item['sentence']}\nIs that acceptable English?", [" No", " Yes"], gold=item["label"])


@cola.template("linguist")
def _(item: Item) -> Choice:
    text = f"Sentence: {item['sentence']}\nA linguist marks it as"
    return Choice(text, [" wrong", " right"], gold=item["label"])


@cola.template("grammar")
def _(item: Item) -> Choice:
    text = f'Grammar exercise. "{item["sentence"]}" This sentence is'
    return Choice(text, [" incorrect", " correct"], gold=item["label"])


NEWS = ["World", "Sports", "Business", "Technology"]  # the last is Sci/Tech in the data


@task(
    family="classification",
    source=hub("fancyzhx/ag_news", split="test"),
    shots_from="train",
    metric="acc",
    metrics=["macro_f1"],
    licence="AG corpus; non-commercial research",
)
def ag_news(item: Item) -> Choice:
    """Topic of news in four classes (Zhang et al. 2015)."""
    question = "Is this article about World, Sports, Business or Technology?"
    text, topics = f"{item['text']}\nQuestion: {question}\nAnswer:", [f" {topic}" for topic in NEWS]
    return Choice(text, topics, gold=item["label"], parts=(item["text"],))


@ag_news.template("section")
def _(item: Item) -> Choice:
    text = f"{item['text']}\nThe newspaper prints this in the section"
    return Choice(text, [f" {topic}" for topic in NEWS], gold=item["label"])


@ag_news.template("label")
def _(item: Item) -> Choice:
    return Choice(f"Article: {item['text']}\nTopic:", [f" {topic}" for topic in NEWS], gold=item["label"])


@ag_news.template("about")
def _(item: Item) -> Choice:
    text = f"{item['text']} This news is about"
    return Choice(text, [" world politics", " sports", " business", " technology"], gold=item["label"])


# The categories in the order of the data's labels, which is that of their sorted names.
INTENTS = """
refund not showing up
activate my card
age limit
apple pay or google pay
atm support
automatic top up
balance not updated after bank transfer
balance not updated after cheque or cash deposit
beneficiary not allowed
cancel transfer
card about to expire
card acceptance
card arrival
card delivery estimate
card linking
card not working
card payment fee charged
card payment not recognised
card payment wrong exchange rate
card swallowed
cash withdrawal charge
cash withdrawal not recognised
change pin
compromised card
contactless not working
country support
declined card payment
declined cash withdrawal
declined transfer
direct debit payment not recognised
disposable card limits
edit personal details
exchange charge
exchange rate
exchange via app
extra charge on statement
failed transfer
fiat currency support
get disposable virtual card
get physical card
getting spare card
getting virtual card
lost or stolen card
lost or stolen phone
order physical card
passcode forgotten
pending card payment
pending cash withdrawal
pending top up
pending transfer
pin blocked
receiving money
request refund
reverted card payment
supported cards and currencies
terminate account
top up by bank transfer charge
top up by card charge
top up by cash or cheque
top up failed
top up limits
top up reverted
topping up by card
transaction charged twice
transfer fee charged
transfer into account
transfer not received by recipient
transfer timing
unable to verify identity
verify my identity
verify source of funds
verify top up
virtual card not working
visa or mastercard
why verify identity
wrong amount of cash received
wrong exchange rate for cash withdrawal
""".strip().split("\n")


@task(
    family="classification",
    source=hub("PolyAI/banking77", split="test"),
    shots_from="train",
    metric="acc",
    metrics=["macro_f1"],
    licence="CC BY 4.0",
)
def banking77(item: Item) -> Choice:
    """Intent of a bank customer's message in 77 classes (Casanueva et al. 2020)."""
    return Choice(f"Message: {item['text']}\nIntent:", [f" {intent}" for intent in INTENTS], gold=item["label"])


@banking77.template("about")
def _(item: Item) -> Choice:
    text = f"A customer writes to the bank: {item['text']}\nThe message is about:"
    return Choice(text, [f" {intent}" for intent in INTENTS], gold=item["label"])


@banking77.template("help")
def _(item: Item) -> Choice:
    text = f"{item['text']}\nThe customer needs help with:"
    return Choice(text, [f" {intent}" for intent in INTENTS], gold=item["label"])


@banking77.template("category")
def _(item: Item) -> Choice:
    text = f"Query: {item['text']}\nCategory:"
    return Choice(text, [f" {intent}" for intent in INTENTS], gold=item["label"])
