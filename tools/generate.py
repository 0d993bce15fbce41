"""Writes every generated document: `python -m tools.generate`. `--check` compares and writes nothing."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from tools import listings, requirements

DOCS = Path(__file__).parent.parent / "docs"
PAGES: Mapping[str, Callable[[], str]] = {
    "checks.md": listings.checks_page,
    "faults.md": listings.faults_page,
}


def stale() -> list[str]:
    """Return the names of pages that are not what the code says."""
    return [name for name, page in PAGES.items() if not (DOCS / name).exists() or (DOCS / name).read_text() != page()]


def main(arguments: list[str]) -> int:
    """Write or compare all pages. Returns an exit code."""
    if "--check" in arguments:
        for name in (old := stale()):
            print(f"docs/{name} is not what the code says: run `make docs` and commit it", file=sys.stderr)
        return max(requirements.main(["--check"]), 1 if old else 0)
    for name, page in PAGES.items():
        (DOCS / name).write_text(page())
    return requirements.main([])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
