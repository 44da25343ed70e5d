"""Reads mutated files of every format and says what became of them: nothing but a scan or one line.

    python benchmarks/fuzz_readers.py [--count 10000] [--seed 0] [--only NUMBER] [--keep FOLDER]

Each file is made from a small valid one by a few seeded changes and read in a process of its own.
A failure is a crash, a hang, an exception that is no InputError, an error of several lines or with
the patient's name, output that nobody asked for, more than 5 s of processor time or 500 MB. Prints
each failure with its number, which `--only` reads again, and a table at the end; exit code 1 after
a failure. For POSIX.
"""

import argparse
import shutil
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "attacks"))

import isolated  # type: ignore[import-not-found]
import valid  # type: ignore[import-not-found]

MOST_SECONDS, MOST_MEMORY = 5.0, 500e6
# What overflows, changes sign or means "all" in one size of integer or another.
NUMBERS = [0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF]
WORDS = [b"0", b"-1", b"99999999999", b"nan", b"inf", b"1e308", b"%s%n", b"..", b"/etc/passwd"]
HEADER = 1500  # bytes in which half of all changes are: what says how to read the others


def mutated(whole: bytes, other: bytes, rng: np.random.Generator) -> bytes:
    """`whole` with a few changes, some of them from `other`."""
    content = bytearray(whole)
    for _ in range(int(rng.integers(1, 6))):
        size = len(content)
        if size < 8:
            break
        at = int(rng.integers(min(size, HEADER) if rng.random() < 0.5 else size))
        length = int(2 ** rng.uniform(0, 8))
        kind = int(rng.integers(9))
        if kind == 0:
            content[at] ^= 1 << int(rng.integers(8))
        elif kind == 1:
            content[at] = int(rng.integers(256))
        elif kind == 2:
            width = int(rng.choice([1, 2, 4, 8]))
            number = NUMBERS[int(rng.integers(len(NUMBERS)))] % 256**width
            order = "little" if rng.random() < 0.5 else "big"
            content[at : at + width] = number.to_bytes(width, order)  # type: ignore[arg-type]
        elif kind == 3:
            del content[at : at + length]
        elif kind == 4:
            content[at:at] = rng.bytes(length)
        elif kind == 5:
            content[at:at] = content[at : at + length]
        elif kind == 6:
            del content[at:]
        elif kind == 7:
            start = int(rng.integers(max(1, len(other))))
            content[at : at + length] = other[start : start + length]
        else:
            digits = [i for i, byte in enumerate(content[:HEADER]) if 48 <= byte <= 57]
            if digits:
                place = digits[int(rng.integers(len(digits)))]
                content[place : place + 1] = WORDS[int(rng.integers(len(WORDS)))]
    return bytes(content)


def make(number: int, seed: int, originals: dict[str, Path], folder: Path) -> tuple[str, Path]:
    """Writes mutated file `number`; returns the original's name and what to read."""
    rng = np.random.default_rng([seed, number])
    name = list(originals)[number % len(originals)]
    other = list(originals.values())[int(rng.integers(len(originals)))]
    path = originals[name]
    shutil.rmtree(folder, ignore_errors=True)
    # What lies beside a header or a DICOMDIR comes along.
    if path.is_dir() or path.parent.name in ("medium", "pair", "analyze"):
        shutil.copytree(path if path.is_dir() else path.parent, folder)
        given = folder if path.is_dir() else folder / path.name
        changed = sorted(folder.iterdir())
        target = changed[int(rng.integers(len(changed)))] if rng.random() < 0.5 else changed[-1]
    else:
        folder.mkdir()
        shutil.copy(path.parent / "c.raw", folder)
        given = target = folder / path.name
        shutil.copy(path, target)
    foreign = b"" if other.is_dir() else other.read_bytes()
    target.write_bytes(mutated(target.read_bytes(), foreign, rng))
    return name, given


def failure(outcome: isolated.Outcome) -> str | None:
    """Why an outcome is one that must not be."""
    if outcome.kind not in ("read", "refused"):
        return f"{outcome.kind}: {outcome.text}"
    if outcome.kind == "refused" and ("\n" in outcome.text or ";" not in outcome.text):
        return f"not one line with a remedy: {outcome.text}"
    for part in valid.PATIENT.split("^"):
        if part in outcome.text + outcome.noise:
            return f"names the patient: {outcome.text} {outcome.noise}"
    if outcome.noise:
        return f"unasked output: {outcome.noise}"
    if outcome.seconds > MOST_SECONDS or outcome.peak > MOST_MEMORY:
        return f"{outcome.seconds:.1f} s and {outcome.peak / 1e6:.0f} MB: {outcome.text}"
    return None


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", type=int, help="read this one file and print its outcome")
    parser.add_argument("--keep", type=Path, help="folder for the files that fail")
    options = parser.parse_args()
    isolated.load()
    table: dict[str, Counter[str]] = {}
    slowest = largest = 0.0
    failures, start = 0, time.monotonic()
    with tempfile.TemporaryDirectory() as made:
        originals = valid.write_all(Path(made) / "valid")
        folder = Path(made) / "mutated"
        numbers = range(options.count) if options.only is None else [options.only]
        for number in numbers:
            name, path = make(number, options.seed, originals, folder)
            outcome = isolated.read_isolated(path)
            if options.only is not None:
                print(outcome)
            slowest, largest = max(slowest, outcome.seconds), max(largest, outcome.peak)
            why = failure(outcome)
            table.setdefault(name, Counter())[outcome.kind if why is None else "FAILED"] += 1
            if why is not None:
                failures += 1
                print(f"{number} ({name}): {why}", flush=True)
            if options.keep and (why is not None or options.only is not None):
                shutil.copytree(folder, options.keep / str(number), dirs_exist_ok=True)
    print("| Format | read | refused | failed |\n|---|---|---|---|")
    for name, counts in sorted(table.items()):
        print(f"| {name} | {counts['read']} | {counts['refused']} | {counts['FAILED']} |")
    print(
        f"{len(numbers)} files, {failures} failures, {(time.monotonic() - start) / 60:.1f} min;"
        f" slowest {slowest:.2f} s, largest {largest / 1e6:.0f} MB"
    )
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
