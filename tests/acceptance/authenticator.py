"""An administrator's app: codes that an edge in a process of its own has not taken yet."""

from __future__ import annotations

import asyncio
import time

from auth.second_factor import STEP_SECONDS, WINDOW_STEPS, code_at

_last_steps: dict[str, int] = {}


async def unused_code(secret: str) -> str:
    """The code of this half minute or, where that was used, the next that the edge takes: the third of one
    secret has to be waited for."""
    step = max(int(time.time()) // STEP_SECONDS, _last_steps.get(secret, 0) + 1)
    _last_steps[secret] = step
    await asyncio.sleep(max(0.0, (step - WINDOW_STEPS) * STEP_SECONDS - time.time()))
    return code_at(secret, step * STEP_SECONDS)
