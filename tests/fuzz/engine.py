"""One target under the coverage-guided engine: `python -m tests.fuzz.engine TARGET OPTION...`.

The options are the engine's own (libFuzzer's). It ends when its time is over, or at the first input that
breaks a law.
"""

from __future__ import annotations

import importlib
import sys
from random import Random

import atheris

SHAPELESS_PERCENT = 25
"""So many of a hundred changes are the engine's own, which know no form."""

INSTRUMENTED = ["relay", "auth", "config.policy", "broker.policy", "broker.shell.latches"]


def main() -> None:
    name, *options = sys.argv[1:]
    # What is to be measured must not have been imported before.
    with atheris.instrument_imports(include=INSTRUMENTED):
        targets = importlib.import_module("tests.fuzz.targets").TARGETS
        mutate = importlib.import_module("tests.fuzz.mutation").MUTATIONS[name]

    def mutator(data: bytes, max_size: int, seed: int) -> bytes:
        random = Random(seed)
        if random.randrange(100) < SHAPELESS_PERCENT:
            return bytes(atheris.Mutate(data, max_size))
        return bytes(mutate(bytes(data), random)[:max_size])

    atheris.Setup([sys.argv[0], *options], targets[name], custom_mutator=mutator)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
