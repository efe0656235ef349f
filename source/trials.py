"""What a search for a plan does with large tables: sizes are exact, noise is that of a sample of rows.

A plan is measured as any other, on all rows: what its codes stand for is written to a folder of its
own, mapped from there, and removed when the plan has been measured.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from torch import nn

from pocketrec.quantize import Plan, QuantizedTensor
from pocketrec.quantize.candidates import (
    BytesOf,
    Candidate,
    Remember,
    at_once,
    candidates_by,
    codes_alone,
)
from pocketrec.quantize.schemes import Scheme
from pocketrec.quantize.schemes.base import RowScheme
from pocketrec.quantize.usage import UNKNOWN, Usage, Usages
from pocketrec.source.checkpoint import Span
from pocketrec.source.compressed import compress_core
from pocketrec.source.mapped import mapped_module, value_spans
from pocketrec.source.streamed import Stubbed
from pocketrec.source.tables import Part, Table, chunks, read_rows, sampled_rows


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamedTrials:
    """Plans of a module with stubs, as modules that can be run; it can be sent to another process.

    Attributes:
        streamed: the original.
        spans: where its tables' values lie, float32, by name.
        folder: where plans get folders of their own.
    """

    streamed: Stubbed
    spans: Mapping[str, Span]
    folder: Path

    def original(self) -> nn.Module:
        """The module with its tables mapped."""
        return mapped_module(self.streamed.lowered, self.spans)

    @contextmanager
    def compressed(self, schemes: Mapping[str, Scheme], usage: Usages) -> Iterator[nn.Module]:
        """The module as a plan leaves it, its tables mapped; their files are gone afterwards."""
        with TemporaryDirectory(dir=self.folder, prefix="plan-") as folder:
            made, _ = compress_core(self.streamed, Plan(tensors=schemes), usage=usage)
            written = value_spans([each for each in made.tables if each.parts], Path(folder))
            spans = {**self.spans, **{name: each.span for name, each in written.items()}}
            yield mapped_module(made.lowered, spans)


def table_candidates(
    table: Table,
    *,
    usage: Usage = UNKNOWN,
    bytes_of: BytesOf = codes_alone,
    remember: Remember = at_once,
) -> tuple[Candidate, ...]:
    """The candidates for a table, as `quantize.candidates` has them for a tensor.

    Raises:
        TableError: a sampled row is not finite.
    """
    chosen = sampled_rows(table.rows)
    sample, known = read_rows(table, chosen), usage.of_rows(chosen)

    def trial(scheme: Scheme) -> tuple[QuantizedTensor, QuantizedTensor]:
        assert isinstance(scheme, RowScheme)
        codec = scheme.fit(table.name, sample, usage=known)
        whole = replace(table, parts=(Part(codec=codec),)).tensor()
        return whole, codec.tensor(table.name, sample.shape, codec.encode(sample))

    return candidates_by(
        trial, table.name, table.span.shape, sample, usage=known, bytes_of=bytes_of, remember=remember
    )


def table_digest(table: Table) -> str:
    """The SHA-256 of a table's numbers, float32, and of its shape."""
    digest = hashlib.sha256(str(table.span.shape).encode())
    for _, rows in chunks(table.name, table.span):
        digest.update(rows.data)
    return digest.hexdigest()
