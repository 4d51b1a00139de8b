"""Models whose weights are here, asked as chats: through their own chat template."""
