"""`python -m pocketrec` is the command `pocketrec`."""

from pocketrec.cli.main import main

if __name__ == "__main__":
    main()
