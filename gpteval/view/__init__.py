"""A page on this machine that lists runs and follows those under way."""
