"""Who vouches for a bundle: signatures, attestations and a bill of materials, made and checked offline.

sign_bundle    ─▶ statements, bom ─▶ model, envelope ─▶ signatures/      sign.py
check_signature ◀─ model, envelope ◀─ signatures/                        check.py
"""
