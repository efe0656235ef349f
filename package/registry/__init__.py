"""Bundles in OCI registries and OCI image layouts: pushed, pulled, listed and tagged."""
