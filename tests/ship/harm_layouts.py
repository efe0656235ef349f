"""What is done to an OCI image layout by one who may write all of it, so that every digest fits again."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from random import Random
from typing import Any

from tests.fuzz.mutate import mutated
from tests.ship.harm import NAMES, TREES, Harm, changed_value

_TITLE = "org.opencontainers.image.title"
_DIGESTS = (
    "sha256:",
    "sha256:0",
    "md5:d41d8cd98f00b204e9800998ecf8427e",
    "sha512:" + "0" * 128,
    "../../x",
    "",
)
_MANY = 3000  # layers of one manifest


def manifest_changed(rng: Random, folder: Path, other: Path) -> str:
    """A manifest says something else, and the index knows it by its new digest."""
    entry, table = _chosen(rng, folder)
    layers: Any = table.get("layers")
    if not isinstance(layers, list) or not layers or rng.random() < 0.3:
        said = changed_value(rng, table)
    else:
        said = _layer_changed(rng, layers)
    _put(folder, entry, table)
    return f"manifest {said}"


def _layer_changed(rng: Random, layers: list[Any]) -> str:
    layer, another = rng.choice(layers), rng.choice(layers)
    titles = layer.setdefault("annotations", {})
    title = str(titles.get(_TITLE))
    kind = rng.randrange(9)
    if kind == 0:
        titles[_TITLE] = rng.choice(
            (*NAMES, f"/{title}", f"./{title}", f"{title}/", title.upper(), title[::-1])
        )
        return f"titles a layer {titles[_TITLE]!r:.40}"
    if kind == 1:
        titles[_TITLE] = another.get("annotations", {}).get(_TITLE)
        return "titles two layers alike"
    if kind == 2:
        layer["size"] = rng.choice((0, -1, layer["size"] + 1, layer["size"] - 1, 1 << 60, 10**30, "7"))
        return f"sizes a layer {layer['size']!r}"
    if kind == 3:
        layer["digest"] = rng.choice((*_DIGESTS, another["digest"], layer["digest"].upper()))
        return f"names a layer {layer['digest'][:20]!r}"
    if kind == 4:
        layers.remove(layer)
        return "lost a layer"
    if kind == 5:
        layers.extend([layer] * rng.choice((1, _MANY)))
        return "repeats a layer"
    if kind == 6:
        layer["mediaType"] = rng.choice(("application/vnd.oci.image.layer.v1.tar+gzip", "", "x" * 5000))
        return "has a layer of another type"
    if kind == 7:
        layer["urls"] = ["file:///etc/passwd", "https://example.com/layer"]
        return "has a layer elsewhere"
    layer["data"] = "aGVsbG8="
    return "holds a layer's data"


def layer_changed(rng: Random, folder: Path, other: Path) -> str:
    """A layer's content is another, under its own digest, which the manifest and the index have, too."""
    entry, table = _chosen(rng, folder)
    parts = [*table.get("layers", []), *([table["config"]] if isinstance(table.get("config"), dict) else [])]
    if not parts:
        return "no layer to change"
    layer = rng.choice(parts)
    data = mutated(_blob(folder, layer["digest"]).read_bytes(), rng.randrange(1 << 30))
    layer["digest"], layer["size"] = _store(folder, data), len(data)
    _put(folder, entry, table)
    return f"layer {layer.get('annotations', {}).get(_TITLE, 'config')} changed, with its digest"


def index_changed(rng: Random, folder: Path, other: Path) -> str:
    """The index says something else."""
    path = folder / "index.json"
    table = json.loads(path.read_bytes())
    said = changed_value(rng, table)
    path.write_text(json.dumps(table))
    return f"index: {said}"


def tags_swapped(rng: Random, folder: Path, other: Path) -> str:
    """Two entries of the index change their annotations, and so their tags."""
    path = folder / "index.json"
    table = json.loads(path.read_bytes())
    one, two = rng.choice(table["manifests"]), rng.choice(table["manifests"])
    first, second = one.pop("annotations", {}), two.pop("annotations", {}) if two is not one else {}
    one["annotations"], two["annotations"] = second, first
    path.write_text(json.dumps(table))
    return "tags swapped"


def _chosen(rng: Random, folder: Path) -> tuple[str, Any]:
    """A manifest's digest, and what it says."""
    index = json.loads((folder / "index.json").read_bytes())
    digest = rng.choice(index["manifests"])["digest"]
    return digest, json.loads(_blob(folder, digest).read_bytes())


def _put(folder: Path, old: str, table: Any) -> None:
    """Stores a manifest in the place of an older one: its tag and what refers to it follow."""
    data = json.dumps(table).encode()
    new = _store(folder, data)
    path = folder / "index.json"
    index = json.loads(path.read_bytes())
    for each in index["manifests"]:
        if each["digest"] == old:
            each["digest"], each["size"] = new, len(data)
    path.write_text(json.dumps(index))


def _store(folder: Path, data: bytes) -> str:
    digest = hashlib.sha256(data).hexdigest()
    _blob(folder, digest).write_bytes(data)
    return f"sha256:{digest}"


def _blob(folder: Path, digest: str) -> Path:
    return folder / "blobs" / "sha256" / digest.removeprefix("sha256:")


LAYOUTS: tuple[Harm, ...] = (
    *TREES,
    *((manifest_changed,) * 6),
    *((layer_changed,) * 3),
    *(index_changed, index_changed, tags_swapped),
)
