"""The rows of `compression.py`: what presets promise and do not hold, who is better, and the table."""

from __future__ import annotations

from dataclasses import dataclass

from pocketrec.pipeline.compression import NEUTRAL_AUC_LOSS, NEUTRAL_NDCG_LOSS

MODELS = ("sasrec", "two-tower", "dlrm")
MAX_RATIO, MIN_INT8_OVERLAP, MAX_ERROR = 0.14, 0.99, 1e-5


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One way to compress one model for one target.

    Attributes:
        weights_ratio: stored tensors as a share of the float32 artifact's; None where only files are known.
        artifact_ratio: the same of the files.
        low, high: the 95 % interval of `quality`.
        loss: how much lower `quality` is than the original's; `least_loss` and `most_loss` are its interval.
        overlap: top-k overlap with the original's lists; None for labels.
        max_abs_error: from the compressed reference, on probes; None for what is not ours.
    """

    model: str
    target: str
    method: str
    weights_ratio: float | None
    artifact_bytes: int
    artifact_ratio: float
    metric: str
    quality: float
    low: float
    high: float
    loss: float
    least_loss: float
    most_loss: float
    overlap: float | None
    max_abs_error: float | None
    p50_ms: float


def misses(rows: list[Row]) -> list[str]:
    """What the presets promise and do not hold."""
    found = []
    originals = {(each.model, each.target): each for each in rows if each.method == "float32"}
    for each in rows:
        where = f"{each.model} on {each.target}, {each.method}"
        limit = NEUTRAL_AUC_LOSS
        if each.metric != "auc":
            limit = NEUTRAL_NDCG_LOSS * originals[each.model, each.target].quality
        if each.method == "pocketrec smallest-neutral":
            if (each.weights_ratio or 0) > MAX_RATIO and each.model in MODELS:
                found.append(f"{where}: {each.weights_ratio:.1%} of float32, promised {MAX_RATIO:.0%}")
            if each.loss > limit:
                found.append(f"{where}: {each.metric} loss {each.loss:.5f}, promised {limit:.5f}")
        if each.method == "pocketrec int8" and (each.overlap or 1) < MIN_INT8_OVERLAP:
            found.append(f"{where}: overlap {each.overlap:.4f}, promised {MIN_INT8_OVERLAP}")
        if (each.max_abs_error or 0) > MAX_ERROR:
            found.append(f"{where}: {each.max_abs_error:.1e} from its reference, promised {MAX_ERROR:g}")
    return found


def beaten(rows: list[Row]) -> list[str]:
    """Peers with a better quality, or lists nearer to the original's, than everything of ours no larger."""
    found = []
    for peer in rows:
        if peer.method.startswith("pocketrec") or peer.method == "float32":
            continue
        ours = [
            each
            for each in rows
            if each.method.startswith("pocketrec")
            and (each.model, each.target) == (peer.model, peer.target)
            and each.artifact_bytes <= peer.artifact_bytes
        ]
        where = f"{peer.model} on {peer.target}"
        if not ours:
            found.append(f"{where}: nothing of ours is as small as {peer.method}")
            continue
        best = max(ours, key=lambda each: each.quality)
        if best.quality < peer.quality:
            inside = peer.low <= best.quality <= peer.high
            found.append(
                f"{where}: {peer.method} has {peer.metric} {peer.quality:.5f}, {best.method} "
                f"{best.quality:.5f} with {best.artifact_bytes / peer.artifact_bytes:.0%} of its bytes; "
                f"{'within' if inside else 'outside'} the interval"
            )
        nearest = max((each.overlap or 0 for each in ours), default=0)
        if peer.overlap is not None and nearest < peer.overlap:
            found.append(f"{where}: {peer.method} has an overlap of {peer.overlap:.4f}, ours {nearest:.4f}")
    return found


def show(rows: list[Row]) -> None:
    head = f"{'model':16} {'target':6} {'method':56} {'file':>10} {'':>6} {'weights':>7}"
    print(
        f"{head}  quality (95 % interval)            loss (95 % interval)          overlap   error      p50"
    )
    for each in rows:
        overlap = "" if each.overlap is None else f"{each.overlap:.4f}"
        error = "" if each.max_abs_error is None else f"{each.max_abs_error:.1e}"
        stored = "" if each.weights_ratio is None else f"{each.weights_ratio:.1%}"
        print(
            f"{each.model:16} {each.target:6} {each.method:56} {each.artifact_bytes / 1e3:8.1f}kB "
            f"{each.artifact_ratio:6.1%} {stored:>7}  "
            f"{each.metric} {each.quality:.5f} ({each.low:.4f} to {each.high:.4f}) "
            f"{each.loss:+.5f} ({each.least_loss:+.5f} to {each.most_loss:+.5f}) "
            f"{overlap:>8} {error:>7} {each.p50_ms:6.2f}ms"
        )
