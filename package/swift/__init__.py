"""A Swift package from a bundle."""
