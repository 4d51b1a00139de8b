"""Is the difference real? Results of two models on the same items, compared as pairs.

Pure functions over stored samples: no torch. ``gpteval.compare(runs)`` is the way in: the package itself can be
called, so that it and the function share their name. docs/statistics.md explains the methods.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any


class _Callable(ModuleType):
    def __call__(self, *arguments: Any, **options: Any) -> Any:
        """See :func:`gpteval.compare.comparison.compare`."""
        from gpteval.compare.comparison import compare

        return compare(*arguments, **options)


sys.modules[__name__].__class__ = _Callable
