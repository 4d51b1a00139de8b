"""Known vulnerabilities of the pinned dependencies, by pip-audit: ``make check`` ends with it.

Exit code 1 where there is one. Where pip-audit is not installed or its service cannot be reached, that is said, and the
exit code is 0.
"""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

PINNED = Path(__file__).parent.parent / "constraints.txt"
SECONDS = 120


def main() -> int:
    """Audit, and say what was found or why nothing could be."""
    if find_spec("pip_audit") is None:
        print("not audited: pip-audit is not installed (pip install pip-audit)")
        return 0
    command = [sys.executable, "-m", "pip_audit", "-r", str(PINNED), "--no-deps", "--disable-pip", "-f", "json"]
    try:
        done = subprocess.run(
            [*command, "--timeout", "10", "--progress-spinner", "off"],
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        found = json.loads(done.stdout)["dependencies"]
    except (subprocess.TimeoutExpired, ValueError, KeyError) as error:
        print(f"not audited: the service cannot be reached ({type(error).__name__})")
        return 0
    audited = [one for one in found if "vulns" in one]
    for one in audited:
        for vulnerability in one["vulns"]:
            mended = ", ".join(vulnerability.get("fix_versions") or ["no version yet"])
            print(f"{one['name']} {one['version']}: {vulnerability['id']}; mended in {mended}")
    if not audited:
        print(f"not audited: the service knows none of the {len(found)} dependencies, so it cannot be reached")
        return 0
    bad = sum(bool(one["vulns"]) for one in audited)
    print(f"{len(audited)} of {len(found)} dependencies audited, {bad} with known vulnerabilities")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
