"""What Hugging Face's `tokenizers` does to every code point, as the tables of package/host/unicode.json.

    python benchmarks/unicode_tables.py            writes the tables for Python, TypeScript, Swift
    python benchmarks/unicode_tables.py --compare  counts where Python and Node differ from them

BERT's tokenizer asks Unicode what a character is, and every language answers by the version that it was built
with. The tables give one answer. `tokenizers` is asked as a black box, one code point at a time.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import unicodedata
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tokenizers import __version__
from tokenizers.normalizers import NFD, BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer

ROOT = Path(__file__).parent.parent
TABLES = ROOT / "package/host/unicode.json"
TYPESCRIPT = ROOT / "package/web/templates/package/src/host/unicode.ts"
SWIFT = ROOT / "package/swift/templates/package/Sources/Host/UnicodeTables.swift"
SURROGATES = range(0xD800, 0xE000)  # no text of UTF-8 holds one alone
CODES = [code for code in range(0x110000) if code not in SURROGATES]
LOW, HIGH = "\u0334", "\u0345"  # marks of the lowest and of the highest combining class, 1 and 240

KINDS = {
    "tokenizers": "string",
    "lowercase": "readonly (readonly [number, number, number, number])[]",
    "lowercase_longer": "Readonly<Record<string, readonly number[]>>",
}

NODE = """
const found = { marks: [], punctuation: [], dropped: [], space: [], lowercase: {}, decomposes: {} };
for (let code = 0; code < 0x110000; code++) {
  if (code >= 0xd800 && code < 0xe000) continue;
  const text = String.fromCodePoint(code);
  if (/\\p{Mn}/u.test(text)) found.marks.push(code);
  if (/\\p{P}/u.test(text) || /[!-/:-@[-`{-~]/.test(text)) found.punctuation.push(code);
  if (/[\\p{Cc}\\p{Cf}\\p{Co}\\ufffd]/u.test(text) && !/[\\t\\n\\r]/.test(text)) found.dropped.push(code);
  if (/[\\p{Z}\\t\\n\\r]/u.test(text)) found.space.push(code);
  if (text.toLowerCase() !== text) found.lowercase[code] = text.toLowerCase();
  if (text.normalize("NFD") !== text) found.decomposes[code] = text.normalize("NFD");
}
console.log(JSON.stringify([process.versions.unicode, found]));
"""


def _normalizer(**chosen: bool) -> BertNormalizer:
    none = {"clean_text": False, "handle_chinese_chars": False, "strip_accents": False, "lowercase": False}
    return BertNormalizer(**{**none, **chosen})


def lowercase() -> dict[int, str]:
    """Every code point that becomes another as a small letter, with what it becomes."""
    rule = _normalizer(lowercase=True)
    return {code: small for code in CODES if (small := rule.normalize_str(chr(code))) != chr(code)}


def sets() -> dict[str, list[int]]:
    """The code points of each kind, ascending."""
    cleaned, spaced = _normalizer(clean_text=True), _normalizer(handle_chinese_chars=True)
    plain, split = _normalizer(strip_accents=True), BertPreTokenizer()
    found: dict[str, list[int]] = {
        each: [] for each in ("dropped", "space", "chinese", "marks", "punctuation", "decomposes")
    }
    for code in CODES:
        text = chr(code)
        clean = cleaned.normalize_str(text)
        if not clean:
            found["dropped"].append(code)
        elif clean == " ":
            found["space"].append(code)
        if spaced.normalize_str(text) != text:
            found["chinese"].append(code)
        if not plain.normalize_str(text):
            found["marks"].append(code)
        if [word for word, _ in split.pre_tokenize_str(f"a{text}a")] == ["a", text, "a"]:
            found["punctuation"].append(code)
        if _decomposes(text):
            found["decomposes"].append(code)
    found["dropped"] = sorted([*found["dropped"], *SURROGATES])
    return found


def _decomposes(text: str) -> bool:
    """Whether canonical decomposition changes the character, or moves it past another."""
    rule = NFD()
    swaps = rule.normalize_str(text + LOW) == LOW + text, rule.normalize_str(HIGH + text) == text + HIGH
    return rule.normalize_str(text) != text or any(swaps) or text in (LOW, HIGH)


def bounds(codes: Iterable[int]) -> list[int]:
    """Where a sorted set begins, ends (excluded), begins again."""
    found: list[int] = []
    for code in codes:
        if found and found[-1] == code:
            found[-1] = code + 1
        else:
            found += [code, code + 1]
    return found


def runs(small: dict[int, str]) -> list[list[int]]:
    """First, last, step and distance of letters that become the small one at the same distance."""
    found: list[list[int]] = []
    for code, text in small.items():
        if len(text) > 1:
            continue
        distance = ord(text) - code
        if found and found[-1][3] == distance:
            first, last, step, _ = found[-1]
            if code - last == step or (first == last and code - last == 2):
                found[-1] = [first, code, code - last, distance]
                continue
        found.append([code, code, 1, distance])
    return found


def tables() -> dict[str, Any]:
    """All that the tokenizer asks about characters."""
    small = lowercase()
    longer = {str(code): [ord(each) for each in text] for code, text in small.items() if len(text) > 1}
    found: dict[str, Any] = {name: bounds(codes) for name, codes in sets().items()}
    return {"tokenizers": __version__, **found, "lowercase": runs(small), "lowercase_longer": longer}


def write(found: dict[str, Any]) -> None:
    """Writes the tables for Python, TypeScript and Swift, a line each."""
    compact = {name: json.dumps(each, separators=(",", ":")) for name, each in found.items()}
    TABLES.write_text("{\n" + ",\n".join(f'"{name}":{each}' for name, each in compact.items()) + "\n}\n")
    lines = ["// What Hugging Face's tokenizers does to characters; written by benchmarks/unicode_tables.py."]
    for name, text in compact.items():
        lines.append(f"export const {name.upper()}: {KINDS.get(name, 'readonly number[]')} = {text};")
    TYPESCRIPT.write_text("\n".join(lines) + "\n")
    SWIFT.write_text(swift(found))


def swift(found: dict[str, Any]) -> str:
    """The tables as texts, whose numbers are read when they are first needed: arrays compile slowly."""
    longer = [[code, *letters] for code, letters in found["lowercase_longer"].items()]
    tables = {name: each for name, each in found.items() if name not in KINDS}
    tables |= {"lowercase": found["lowercase"], "lowercaseLonger": longer}
    lines = [
        "// What Hugging Face's tokenizers does to characters; written by benchmarks/unicode_tables.py.",
        "enum UnicodeTables {",
        f'    static let tokenizers = "{found["tokenizers"]}"',
    ]
    for name, each in tables.items():
        parts = [" ".join(map(str, part if isinstance(part, list) else [part])) for part in each]
        nested = isinstance(each[0], list)
        lines.append(f'    static let {name} = "{(";" if nested else " ").join(parts)}"')
    return "\n".join([*lines, "}"]) + "\n"


def compare() -> None:
    """Prints how many code points Python and Node see otherwise."""
    kinds, small, rule = sets(), lowercase(), NFD()
    parts = {code: text for code in CODES if (text := rule.normalize_str(chr(code))) != chr(code)}
    kinds["dropped"] = [code for code in kinds["dropped"] if code not in SURROGATES]
    ran = subprocess.run(
        [shutil.which("node") or "node", "-e", NODE], capture_output=True, check=True, text=True
    )
    version, node = json.loads(ran.stdout)
    for label, other in (
        (f"Python, Unicode {unicodedata.unidata_version}", python()),
        (f"Node, Unicode {version}", node),
    ):
        for name in ("dropped", "space", "marks", "punctuation"):
            ours, theirs = set(kinds[name]), set(other[name])
            print(f"{label}: {name}: {len(theirs - ours)} more, {len(ours - theirs)} fewer")
        for name, ours in (("lowercase", small), ("decomposes", parts)):
            theirs = {int(code): text for code, text in other[name].items()}
            differ = sum(ours.get(code) != theirs.get(code) for code in ours.keys() | theirs.keys())
            print(f"{label}: {name}: {differ} differ")


def python() -> dict[str, Any]:
    """The same kinds by this Python's own Unicode."""
    category = {code: unicodedata.category(chr(code)) for code in CODES}
    decomposed = {code: unicodedata.normalize("NFD", chr(code)) for code in CODES}
    signs = {ord(each) for each in "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"}
    return {
        "dropped": [
            c for c in CODES if (category[c] in ("Cc", "Cf", "Co") and c not in (9, 10, 13)) or c == 0xFFFD
        ],
        "space": [c for c in CODES if category[c][0] == "Z" or c in (9, 10, 13)],
        "marks": [c for c in CODES if category[c] == "Mn"],
        "punctuation": [c for c in CODES if category[c][0] == "P" or c in signs],
        "lowercase": {c: chr(c).lower() for c in CODES if chr(c).lower() != chr(c)},
        "decomposes": {c: text for c, text in decomposed.items() if text != chr(c)},
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--compare", action="store_true")
    compare() if parser.parse_args().compare else write(tables())
