"""Installs what the generated package's lock file names: `python -m tests.web.install FOLDER`."""

import sys
from pathlib import Path

from tests.web.workshop import install_tools

if __name__ == "__main__":
    print(install_tools(Path(sys.argv[1])))
