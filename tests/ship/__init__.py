"""Proofs of what lies between a bundle and an app: `make ship` runs all of them, wherever they stand."""
