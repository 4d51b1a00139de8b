"""Is the difference real? Results of two models on the same items, compared as pairs. Imports no torch."""
