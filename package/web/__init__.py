"""A typed npm package from a bundle: the model in a browser, called in an app's words."""
