"""A project to start from: a recipe in which every key is explained, with the files that it names."""
