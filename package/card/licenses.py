"""A license as the metadata of a model card names it (https://huggingface.co/docs/hub/repositories-licenses)."""

from __future__ import annotations

from dataclasses import dataclass

_KNOWN = frozenset(
    {
        *(
            "afl-3.0",
            "agpl-3.0",
            "apache-2.0",
            "artistic-2.0",
            "bigscience-openrail-m",
            "bsd",
            "bsd-2-clause",
        ),
        *("bsd-3-clause", "bsd-3-clause-clear", "bsl-1.0", "cc", "cc-by-2.0", "cc-by-2.5", "cc-by-3.0"),
        *("cc-by-4.0", "cc-by-nc-2.0", "cc-by-nc-3.0", "cc-by-nc-4.0", "cc-by-nc-nd-3.0", "cc-by-nc-nd-4.0"),
        *("cc-by-nc-sa-2.0", "cc-by-nc-sa-3.0", "cc-by-nc-sa-4.0", "cc-by-nd-4.0", "cc-by-sa-3.0"),
        *("cc-by-sa-4.0", "cc0-1.0", "cdla-permissive-1.0", "cdla-permissive-2.0", "cdla-sharing-1.0"),
        *("ecl-2.0", "epl-1.0", "epl-2.0", "eupl-1.1", "gfdl", "gpl", "gpl-2.0", "gpl-3.0", "isc", "lgpl"),
        *(
            "lgpl-2.1",
            "lgpl-3.0",
            "lppl-1.3c",
            "mit",
            "mpl-2.0",
            "ms-pl",
            "ncsa",
            "odbl",
            "odc-by",
            "ofl-1.1",
        ),
        *("openrail", "openrail++", "osl-3.0", "postgresql", "unlicense", "wtfpl", "zlib"),
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class License:
    """The id that the metadata takes; `name` where the license has none of its own."""

    id: str
    name: str = ""


def license_of(stated: str) -> License:
    """What a recipe says of its license: the id, `other` with the name, or `unknown` where it has none."""
    text = " ".join(stated.split())
    if not text:
        return License(id="unknown")
    return License(id=text.lower()) if text.lower() in _KNOWN else License(id="other", name=text)
