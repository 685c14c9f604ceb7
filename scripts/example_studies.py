"""Run the studies that the docs answer from, and put their pages and pictures into the docs: `make examples`.

A study that was begun goes on; one of another program or with other inputs needs its folder in runs/ taken away first.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
STUDIES = ("sirens", "defence", "second-radar")
PAGES, PICTURES = ROOT / "docs" / "studies", ROOT / "docs" / "images" / "studies"


def main() -> None:
    """All three, or those that are named."""
    for name in sys.argv[1:] or STUDIES:
        out = ROOT / "runs" / "examples" / name
        study = ROOT / "examples" / "studies" / f"{name}.yaml"
        subprocess.run([sys.executable, "-m", "opencram", "study", str(study), "--out", str(out)], check=True)
        publish(name, out)


def publish(name: str, out: Path) -> None:
    """Copy a study's page and the pictures that it shows."""
    (PICTURES / name).mkdir(parents=True, exist_ok=True)
    PAGES.mkdir(parents=True, exist_ok=True)
    page = (out / "study.md").read_text(encoding="utf-8")
    for picture in set(re.findall(r"\]\(([\w-]+\.svg)\)", page)):
        shutil.copyfile(out / picture, PICTURES / name / picture)
        page = page.replace(f"]({picture})", f"](../images/studies/{name}/{picture})")
    (PAGES / f"{name}.md").write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
