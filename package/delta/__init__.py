"""What turns one release into the next: made from two bundles, and applied to the older one.

make_delta  ─▶ encode ─▶ layouts, matches, rows ─▶ format ─▶ FILE        make.py
apply_delta ◀─ decode ◀─ rows ◀─ format ◀─ FILE                          apply.py
"""
