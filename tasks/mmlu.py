"""MMLU: exams in 57 subjects, answered by letter (Hendrycks et al. 2021), with the prompt of its authors."""

from __future__ import annotations

from gpteval import Choice, Item, Task, hub, task
from gpteval.tasks.forms import lettered

SUBJECTS = (
    "abstract_algebra",
    "anatomy",
    "astronomy",
    "business_ethics",
    "clinical_knowledge",
    "college_biology",
    "college_chemistry",
    "college_computer_science",
    "college_mathematics",
    "college_medicine",
    "college_physics",
    "computer_security",
    "conceptual_physics",
    "econometrics",
    "electrical_engineering",
    "elementary_mathematics",
    "formal_logic",
    "global_facts",
    "high_school_biology",
    "high_school_chemistry",
    "high_school_computer_science",
    "high_school_european_history",
    "high_school_geography",
    "high_school_government_and_politics",
    "high_school_macroeconomics",
    "high_school_mathematics",
    "high_school_microeconomics",
    "high_school_physics",
    "high_school_psychology",
    "high_school_statistics",
    "high_school_us_history",
    "high_school_world_history",
    "human_aging",
    "human_sexuality",
    "international_law",
    "jurisprudence",
    "logical_fallacies",
    "machine_learning",
    "management",
    "marketing",
    "medical_genetics",
    "miscellaneous",
    "moral_disputes",
    "moral_scenarios",
    "nutrition",
    "philosophy",
    "prehistory",
    "professional_accounting",
    "professional_law",
    "professional_medicine",
    "professional_psychology",
    "public_relations",
    "security_studies",
    "sociology",
    "us_foreign_policy",
    "virology",
    "world_religions",
)


def _subject(subject: str) -> Task:
    def prompt(item: Item) -> Choice:
        return lettered(item["question"].strip(), item["choices"], item["answer"])

    words = subject.replace("_", " ")
    prompt.__doc__ = f"An exam in {words}, four answers by letter (Hendrycks et al. 2021)."
    declare = task(
        name=f"mmlu_{subject}",
        family="qa",
        source=hub("cais/mmlu", subject, split="test"),
        shots=5,
        shots_from="dev",
        metric="acc",
        preamble=f"The following are multiple choice questions (with answers) about {words}.\n\n",
        licence="MIT",
        suites=["mmlu"],
        profiles=["gpt4-paper"],
    )
    return declare(prompt)


MMLU = [_subject(subject) for subject in SUBJECTS]
