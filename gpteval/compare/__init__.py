"""Is the difference real? Results of two models on the same items, compared as pairs.

Pure functions over stored samples: no torch. ``compare`` is the way in; docs/statistics.md explains the methods.
"""

from __future__ import annotations

from gpteval.compare.comparison import Comparison, compare

__all__ = ["Comparison", "compare"]
