"""What a release says to whoever meets it: a model card, and an entry of a changelog."""
