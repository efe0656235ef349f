"""Pages of docs/ that are made from the code (`make references`), and what all pages are held to."""
