"""The child process of `flows.project.isolation`: reads a function and its argument from standard input, and writes to
standard output what the function returns or raises. Both ends are processes of one run."""

import os
import sys

from distributed.protocol.pickle import dumps, loads


def main() -> None:
    """Runs the function. What it prints goes to standard error, because standard output is for the result."""
    with os.fdopen(os.dup(1), "wb") as out:
        os.dup2(2, 1)
        function, argument = loads(sys.stdin.buffer.read())
        try:
            result = function(argument)
        except Exception as fault:
            result = fault
        out.write(dumps(result))


if __name__ == "__main__":
    main()
