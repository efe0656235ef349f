"""A page is tried as a reader tries it, and what it shows and is not so is found."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from tests.docs.page import Untrue, blocks, files, pattern, transcript, try_page

PAGE = """
# A page

The file `data/numbers.py`:

```python
ONE = 1
```

In `data/numbers.py`:

```diff
-ONE = 1
+TWO = 2
+ONE = TWO - 1
```

```python
import sys

print("one")
```

```text
one
```

```console
$ cd data
$ python -c "import numbers; print(numbers.ONE)" | tail -1
1
$ python -c "print(1); print(2); \\
    print(3)"
1
…
3
```
"""


def test_files_are_written_and_the_rest_is_run(tmp_path: Path) -> None:
    assert [each.language for each in blocks(PAGE)] == ["python", "diff", "python", "text", "console"]
    assert files(PAGE) == {"data/numbers.py": "ONE = 1\n"}
    assert try_page(PAGE, tmp_path) == 5
    assert (tmp_path / "data/numbers.py").read_text() == "TWO = 2\nONE = TWO - 1\n"


def test_without_commands_all_ends_at_the_first(tmp_path: Path) -> None:
    assert try_page(PAGE.replace("python -c", "no-such-tool"), tmp_path, commands=False) == 4


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('print("one")', 'print("two")', "line 18: the Python prints\ntwo\n"),
        ("print(3)", "print(4)", "prints\n1\n2\n4\n"),
        ("print(1);", "sys.exit(3);", "ends with 1"),
        ("-ONE = 1", "-ONE = 2", "line 12: data/numbers.py has not once\nONE = 2\n"),
        ("| tail -1", "| tail -1 | grep 2", "ends with 1"),
        ("\n…\n", "\n", "prints\n1\n2\n3\n"),
    ],
)
def test_a_page_that_is_not_so_is_found(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert old in PAGE
    with pytest.raises(Untrue, match=re.escape(message)):
        try_page(PAGE.replace(old, new), tmp_path)


def test_a_page_of_other_lines_is_found() -> None:
    printed = "…\n1. Alien (…)\n"
    assert re.fullmatch(pattern(printed), "Building\nDone (1.2s)\n1. Alien (1979)\n")
    for given in ("1. Aliens (1986)\n", "Building\n", "1. Alien (1979)\n2. Heat (1995)\n"):
        assert not re.fullmatch(pattern(printed), given)


def test_a_command_goes_on_after_a_backslash() -> None:
    (block,) = blocks("```console\n$ one \\\n  --two\nthree\n$ four\n```\n")
    assert list(transcript(block)) == [("one   --two", "three\n"), ("four", "")]
