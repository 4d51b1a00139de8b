"""The embedded default: a generated world, and small models trained on it by ``gpteval pretrain``."""
