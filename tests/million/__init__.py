"""A million users on three runtimes: drawn, examined, killed, gone on with, and measured."""
