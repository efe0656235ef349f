"""Conversion that never holds the table: stubs go through the converters, bytes are streamed after them.

    checkpoint ── open ──▶ Checkpoint ── rows, chunk by chunk ──▶ codec ──▶ the artifact's weight file
        │                                                                            ▲
        └─ shapes ──▶ module with stubs ──▶ capture ──▶ lowering ──▶ places by offset ┘

A stub has a table's shape and no memory. Memory follows the chunk, not the table.
"""
