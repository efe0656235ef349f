"""The evidence: what was compared, measured and gated, as data.

`validate/` fills it, `pipeline` gates on it, `validate.report` shows it, bundles carry it.
What did not run stands here as not run, with the reason; it is never left out.
"""

from pocketrec.report.artifacts import (
    ArtifactSize,
    CompressedTensor,
    PlanPoint,
    RewriteResult,
    RoundedInput,
    TensorSize,
)
from pocketrec.report.controls import Control
from pocketrec.report.evidence import COMPRESSED, Evidence, GateResult, Machine, plain
from pocketrec.report.parity import HISTOGRAM_EDGES, AccumulationSensitivity, TensorParity
from pocketrec.report.quality import (
    Calibration,
    Interval,
    ListChange,
    MetricChange,
    RankingParity,
    SliceChange,
    UserLists,
)
from pocketrec.report.release import (
    Bump,
    Change,
    LatencyChange,
    Level,
    Moved,
    MovedList,
    Release,
    ReleaseDiff,
    SizeChange,
)
from pocketrec.report.runtimes import LatencyResult, RuntimeResult, WebFacts, WireSize
from pocketrec.report.stress import Outcome, StressCase

__all__ = [
    "COMPRESSED",
    "HISTOGRAM_EDGES",
    "AccumulationSensitivity",
    "ArtifactSize",
    "Bump",
    "Calibration",
    "Change",
    "CompressedTensor",
    "Control",
    "Evidence",
    "GateResult",
    "Interval",
    "LatencyChange",
    "LatencyResult",
    "Level",
    "ListChange",
    "Machine",
    "MetricChange",
    "Moved",
    "MovedList",
    "Outcome",
    "PlanPoint",
    "RankingParity",
    "Release",
    "ReleaseDiff",
    "RewriteResult",
    "RoundedInput",
    "RuntimeResult",
    "SizeChange",
    "SliceChange",
    "StressCase",
    "TensorParity",
    "TensorSize",
    "UserLists",
    "WebFacts",
    "WireSize",
    "plain",
]
