"""The kernel's own word on its clock: adjtimex(2), which the standard library does not have."""

from __future__ import annotations

import ctypes

from broker.shell.doctor.clock import KernelClock

_TIME_ERROR = 5
_STA_UNSYNC = 0x40
_MICROSECONDS = 1e-6


class _Timex(ctypes.Structure):
    """The head of `struct timex`, and room for the rest of it."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("rest", ctypes.c_byte * 512),
    )


def read_kernel_clock() -> KernelClock | None:
    """None where the system has no such call, or does not allow it."""
    try:
        adjtimex = ctypes.CDLL(None).adjtimex
    except (OSError, AttributeError):
        return None
    told = _Timex()  # modes 0: nothing is set
    state = adjtimex(ctypes.byref(told))
    if state < 0:
        return None
    synchronised = state != _TIME_ERROR and not told.status & _STA_UNSYNC
    return KernelClock(synchronised, told.maxerror * _MICROSECONDS)
