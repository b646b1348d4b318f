"""Writes docs/exports.md: what `cma init` and `cma ingest` print for six exports, with pictures from a local server.

uv run python -m tests.flows.cli.init.write_transcripts
"""

import http.server
import os
import subprocess
import sys
import tempfile
import threading
import zlib
from pathlib import Path
from typing import Any

from tests.flows.cli.init import example_exports as examples
from tests.places import ROOT

PAGE = ROOT / "docs" / "exports.md"
SERVER = ("127.0.0.9", 8790)
SHOP = f"http://{SERVER[0]}:{SERVER[1]}"
_INTRODUCTION = f"""\
# Six exports: from the file to the catalogue

What `cma init` and `cma ingest` print for small exports with invented products, unedited except for the folder. The
exports are in `tests/flows/cli/init/example_exports.py`; a web server at {SHOP} stands for the shops'.
[feeds.md](feeds.md#exports-that-cma-init-recognises) has the table of all exports. This makes the page again:

```sh
uv run python -m tests.flows.cli.init.write_transcripts
```
"""


def at_server(text: str) -> str:
    """The export with the server's address instead of those of its shops."""
    return text.replace("https://shop.invalid", SHOP).replace("https://cdn.shop.invalid", SHOP)


# Title → name of the file, its content, and the picture files beside it.
TRANSCRIPTS: dict[str, tuple[str, bytes, tuple[str, ...]]] = {
    "Shopify": ("products_export.csv", at_server(examples.SHOPIFY).encode(), ()),
    "WooCommerce": ("wc-product-export.csv", at_server(examples.WOOCOMMERCE).encode(), ()),
    "Magento": (
        "catalog_product.csv",
        examples.MAGENTO.encode(),
        tuple(f"media/catalog/product/w/b/{name}.jpg" for name in ("wb-red", "wb-red-back", "wb-blue")),
    ),
    "Google Merchant": ("merchant.tsv", at_server(examples.GOOGLE_TSV).encode(), ()),
    "Akeneo": (
        "products.csv",
        examples.AKENEO.encode(),
        (
            *("files/1111/image/tea.jpg", "files/1112/image/tea.jpg", "files/1113/image/evening.jpg"),
            "files/1111/variation_image/red.jpg",
        ),
    ),
    "Hugging Face": ("train-00000-of-00001.parquet", examples.hugging_face(), ()),
}


def make(folder: Path, title: str) -> str:
    """Writes the export and its pictures into the folder, and returns the name of its file."""
    name, body, pictures = TRANSCRIPTS[title]
    (folder / name).write_bytes(body)
    for number, path in enumerate(pictures):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(examples.picture(number))
    return name


def feed_section(config: Path) -> str:
    """The feed's section of a project file, without comments."""
    lines = config.read_text(encoding="utf-8").partition("[feeds.mine]\n")[2].partition("\n\n")[0].splitlines()
    return "\n".join(line.partition("      # ")[0].rstrip() for line in lines)


def main() -> None:
    """Writes the page."""
    parts = [_INTRODUCTION]
    with http.server.ThreadingHTTPServer(SERVER, _Pictures) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        for title in TRANSCRIPTS:
            with tempfile.TemporaryDirectory() as temporary:
                folder = Path(temporary)
                name = make(folder, title)
                first = _cma(folder, "init", name)
                section = feed_section(folder / "cma.toml")
                second = _cma(folder, "ingest")
            parts.append(
                f"## {title}\n\n```console\n$ cma init {name}\n{first}\n```\n\n"
                f"```toml\n[feeds.mine]\n{section}\n```\n\n```console\n$ cma ingest\n{second}\n```\n"
            )
        server.shutdown()
    PAGE.write_text("\n".join(parts), encoding="utf-8")


def _cma(folder: Path, *arguments: str) -> str:
    environment = os.environ | {"CMA_FETCH__ALLOW_PRIVATE": f'["{SERVER[0]}"]', "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "flows.cli", *arguments]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=True)
    return done.stdout.replace(f"{folder}/", "").strip()


class _Pictures(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = examples.picture(zlib.crc32(self.path.encode()) % 5077)
        self.send_response(200)
        self.send_header("Content-Type", "image/jpeg")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


if __name__ == "__main__":
    main()
