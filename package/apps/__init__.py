"""What packages of every language are made of: names, methods, the model's folder, a tree of templates."""
