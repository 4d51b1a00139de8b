"""What a page carries packed, and unpacks when it is needed: gzip, written in base64."""

from __future__ import annotations

import base64
import gzip
from functools import cache


def packed(text: str) -> str:
    """``text`` for the page's script, which has ``DecompressionStream``; the same for the same text."""
    return base64.b64encode(gzip.compress(text.encode("utf-8"), compresslevel=6, mtime=0)).decode("ascii")


@cache
def chart_library() -> str:
    """plotly.js, packed: a third of its size."""
    from plotly.offline import get_plotlyjs

    return packed(get_plotlyjs())
