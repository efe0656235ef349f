"""How long a package in Swift takes to open a vocabulary of a million rows and to find a word in it.

    python -m benchmarks.swift_vocabulary [--rows N]

Beside it, in the same run, Swift's own dictionary of the same lines.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
import time
from pathlib import Path

from tests.swift.toolchain import run_swift

from pocketrec.package.swift.index import index_of

ROOT = Path(__file__).parent.parent
HOST = ROOT / "package/swift/templates/package/Sources/Host"
MANIFEST = """// swift-tools-version: 6.0
import PackageDescription
let package = Package(name: "Words", targets: [.executableTarget(name: "Words")])
"""


def write(folder: Path, rows: int) -> None:
    """A catalogue's files: stable keys, and titles of which some are alike."""
    tokens = "".join(f"B{row:09d}\n" for row in range(rows)).encode()
    titles = "".join(f"The film of the year {row % 977}, part {row}\n" for row in range(rows)).encode()
    started = time.perf_counter()
    index = index_of(tokens, titles)
    print(f"{rows} rows: index of {len(index) / 1e6:.1f} MB written in {time.perf_counter() - started:.1f} s")
    for name, data in (("item.txt", tokens), ("item.titles.txt", titles), ("item.index", index)):
        (folder / name).write_bytes(data)


def run(folder: Path, *arguments: str) -> str:
    """What the compiler says in a folder."""
    done = run_swift(folder, *arguments)
    if done.returncode:
        raise SystemExit(done.stdout)
    return done.stdout


def main() -> None:
    """Builds the program in release mode and runs it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write(folder, parser.parse_args().rows)
        shutil.copytree(HOST, folder / "Sources/Words")
        shutil.copyfile(Path(__file__).with_suffix(".swift"), folder / "Sources/Words/main.swift")
        (folder / "Package.swift").write_text(MANIFEST, encoding="utf-8")
        run(folder, "build", "-c", "release", "-j", "2", "-q")
        print(run(folder, "run", "-c", "release", "--skip-build", "-q", "Words", str(folder)), end="")


if __name__ == "__main__":
    main()
