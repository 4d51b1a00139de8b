"""Models behind an API: OpenAI's, and servers that speak its language."""
