"""The program of a timed run: `python -m bench._run MODULE FUNCTION ARGUMENTS`, as `bench.child` starts it."""

import importlib
import json
import sys


def main(module: str, function: str, arguments: str) -> None:
    """Call the function and print what it gives as one line of JSON."""
    figures = getattr(importlib.import_module(module), function)(*json.loads(arguments))
    sys.stdout.write(json.dumps(figures) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
