"""Folders that tests read: the checkout, and the real catalogues beside it, where there are some."""

from pathlib import Path

ROOT = Path(__file__).parents[1]
EXAMPLES = ROOT / "deploy" / "examples"
REAL_CATALOGUES = ROOT.parent / "shared" / "data"
