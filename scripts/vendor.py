"""Makes src/opencram/serve/static/vendor again: fetches each package named in vendor.json with `npm pack`, compares it
and the files that are taken from it with the hashes that stand there, and packs them (gzip, no name, no time).

    python scripts/vendor.py            check and make again what is named
    python scripts/vendor.py --update   the same, and write down new hashes after a version was changed by hand
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import json
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parent.parent / "src" / "opencram" / "serve" / "static" / "vendor"
LIST = FOLDER / "vendor.json"


def main() -> None:
    """All packages of the list."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--update", action="store_true")
    update = parser.parse_args().update
    packages: dict[str, Any] = json.loads(LIST.read_text())
    for name, package in packages.items():
        with tempfile.TemporaryDirectory() as folder:
            asked = f"{name}@{package['version']}"
            subprocess.run(["npm", "pack", "--silent", asked], cwd=folder, check=True, stdout=subprocess.DEVNULL)
            take(name, package, next(Path(folder).iterdir()), update)
    if update:
        LIST.write_text(json.dumps(packages, indent=2) + "\n")


def take(name: str, package: dict[str, Any], archive: Path, update: bool) -> None:
    """The files of one package."""
    compare(f"{name}'s package", package, archive.read_bytes(), update)
    with tarfile.open(archive) as inside:
        for file, about in package["files"].items():
            found = inside.extractfile(f"package/{about['from']}")
            assert found is not None, about["from"]
            data = found.read()
            compare(file, about, data, update)
            (FOLDER / f"{file}.gz").write_bytes(gzip.compress(data, 9, mtime=0))


def compare(what: str, about: dict[str, Any], data: bytes, update: bool) -> None:
    """The hash that stands in the list, or (`update`) shall stand there."""
    digest = hashlib.sha256(data).hexdigest()
    if update:
        about["sha256"] = digest
    elif about["sha256"] != digest:
        sys.exit(f"{what}: found sha256 {digest}, expected {about['sha256']}")


if __name__ == "__main__":
    main()
