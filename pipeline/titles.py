"""What the items are called whose ids stand in the evidence."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping

from pocketrec.contract import VocabularyFiles
from pocketrec.report import RuntimeResult
from pocketrec.source.vocabularies import lines


def titles_of(
    results: Iterable[RuntimeResult], vocabularies: Mapping[str, VocabularyFiles]
) -> dict[str, dict[str, str]]:
    """Returns vocabulary to id to title, or to token where there is no title; each file is read once."""
    wanted: defaultdict[str, set[int]] = defaultdict(set)
    for result in results:
        for each in (user for ranking in result.rankings for user in ranking.users):
            wanted[each.vocabulary].update(each.before, each.after)
            wanted[each.history_vocabulary].update(each.history)
    return {
        name: _named(vocabularies[name], ids) for name, ids in sorted(wanted.items()) if name in vocabularies
    }


def _named(files: VocabularyFiles, ids: set[int]) -> dict[str, str]:
    found: dict[str, str] = {}
    for key in ("tokens", "titles"):
        if key in files:
            for place, line in enumerate(lines(files[key])):
                if line and place in ids:
                    found[str(place)] = line.decode("utf-8", "replace")
    return found
