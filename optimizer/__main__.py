"""``python -m optimizer``: the same as ``dopt``."""

from optimizer.cli import main

if __name__ == "__main__":
    main(prog_name="dopt")
