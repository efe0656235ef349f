"""The one browser of a process: shared, started again where it has ended, and never left behind."""

from __future__ import annotations

import os
import select
import subprocess
import sys
from pathlib import Path

import pytest

from pocketrec.validate.runtimes import web_browser
from pocketrec.validate.runtimes.runtime import RuntimeUnavailable
from pocketrec.validate.runtimes.web_browser import Browser, shared_browser
from pocketrec.validate.runtimes.web_places import WebPlaces

WAITS = """
import sys
from pocketrec.validate.runtimes.web_browser import shared_browser
from pocketrec.validate.runtimes.web_places import find_places
print(shared_browser(find_places()).version, flush=True)
sys.stdin.read()
"""


def descendants(pid: int) -> set[int]:
    parents = {}
    for place in Path("/proc").glob("[0-9]*/stat"):
        try:
            parents[int(place.parent.name)] = int(place.read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue  # it has just ended
    found, new = set[int](), {pid}
    while new:
        new = {child for child, parent in parents.items() if parent in new}
        found |= new
    return found


@pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="not run: only Linux tells of another's children")
@pytest.mark.parametrize("killed", [True, False])
def test_a_process_that_ends_or_is_killed_leaves_no_browser(places: WebPlaces, killed: bool) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", WAITS], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stdout.readline().startswith("Chromium")
    ends = [os.pidfd_open(each) for each in descendants(process.pid)]
    assert len(ends) > 2  # the driver, the browser, and what that starts
    if killed:
        process.kill()
    process.stdin.close()
    process.wait(60)
    process.stdout.close()
    for each in ends:
        assert select.select([each], [], [], 60)[0]  # readable once that process has ended
        os.close(each)


def test_it_is_shared_and_started_again_where_it_has_ended(
    places: WebPlaces, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(web_browser, "_shared", [browser])
    monkeypatch.setattr("atexit.register", lambda close: None)
    assert shared_browser(places) is browser
    ended = Browser(places)
    ended.close()
    ended.close()
    assert not ended.alive
    monkeypatch.setattr(web_browser, "_shared", [ended])
    monkeypatch.setattr(web_browser, "Browser", lambda places: browser)
    assert shared_browser(places) is browser


def test_a_program_that_is_no_browser_is_unavailable_in_one_line(places: WebPlaces, tmp_path: Path) -> None:
    program = tmp_path / "chromium"
    program.write_text("#!/bin/sh\nexit 3\n")
    program.chmod(0o755)
    wrong = WebPlaces(chromium=program, dist=places.dist, version=places.version)
    with pytest.raises(RuntimeUnavailable, match=r"does not start.*POCKETREC_CHROMIUM") as caught:
        Browser(wrong)
    assert "\n" not in str(caught.value)
