"""Folders that tests read: the checkout, and beside it real catalogues and reported cases, where there are some."""

from pathlib import Path

ROOT = Path(__file__).parents[1]
EXAMPLES = ROOT / "deploy" / "examples"
REAL_CATALOGUES = ROOT.parent / "shared" / "data"
REPORTED_CASES = ROOT.parent / "shared" / "cases"
