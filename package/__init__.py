"""Bundles: content-addressed folders of artifacts, contract and evidence.

staging ─▶ (the pipeline writes files) ─▶ seal ─▶ publish          publish.py, manifest.py
read_bundle ─▶ verify_files, read_golden                           bundle.py, golden.py
"""
