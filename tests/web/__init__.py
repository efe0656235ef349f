"""Every zoo bundle as a package in a browser: `make web`."""
