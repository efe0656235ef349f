"""Saboteurs: each fools a careless reader, and must be caught by the gate that is there for it."""
