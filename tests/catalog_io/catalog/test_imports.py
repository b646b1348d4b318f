import subprocess
import sys

import pytest

LOADS = """
import sys
import catalog_io.catalog.{module}
print(*sorted({{name.partition(".")[0] for name in sys.modules}}))
"""


@pytest.mark.parametrize("module", ["catalog", "snapshot", "compaction"])
def test_opening_the_catalogue_loads_neither_the_http_stack_nor_pytorch(module: str) -> None:
    command = [sys.executable, "-c", LOADS.format(module=module)]
    loaded = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    assert "duckdb_engine" in loaded or "duckdb" in loaded
    assert not {"httpcore", "httpx", "fsspec", "aiohttp", "torch"} & set(loaded)
