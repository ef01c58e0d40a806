"""What the policy answers: pure functions over `config.policy`'s declarations.

`decide` is the one question everything asks; `decision` is its answer, a value that explains itself and can
be replayed; `sentences` puts it in words; `zone` finds where someone is. Not here: reading files (`config`),
recording an answer (`broker.audit`) and acting on it (`broker.core`).
"""
