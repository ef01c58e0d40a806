"""What the policy answers: pure functions over `config.policy`'s declarations.

In this room: the gate's answer: a `question`, the `sides` that must allow it, `index` (the rules laid out so
that few are read), `when` and `zone`, and `decide`, whose `decision` keeps its `inputs` and is put into words
by `sentences`. Beside it `client` judges programs and `administration` makes the rules of the edge's own
administrators. For those who write policies: `check`, `asking` and `explain`, `diff`, and `replay` of what
was `recorded`.

Not here: reading files (`config`), recording an answer (`broker.audit`) and acting on it (`broker.core`).
"""
