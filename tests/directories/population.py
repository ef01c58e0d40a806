"""The people and groups with which every directory of the tests begins."""

from __future__ import annotations

PASSWORD = "correct horse battery"
SERVICE_PASSWORD = "service account's own"

ODD_NAME = 'Müller, "x" (y)*\\'
CONTROL_NAME = "Ron\r\n\x1b[31mred\x07"

# Everybody by login, with the name shown; the password is PASSWORD.
NAMES = {
    "ada": "Ada Byron",
    "bert": "Bert Brecht",
    "carl": "Carl Gauss",
    "dora": "Dora Maar",
    "locked": "Lou Locked",
    "mustchange": "Mia Mustchange",
    "expired": "Ed Expired",
    "odd": ODD_NAME,
    "robot": CONTROL_NAME,
}

# Members by group: logins, or other groups with an @ before them. `left` and `right` are a circle.
MEMBERS = {
    "inner": ("ada", "odd"),
    "outer": ("@inner", "bert"),
    "outermost": ("@outer",),
    "left": ("@right", "ada"),
    "right": ("@left", "carl"),
    "lonely": ("dora",),
}
