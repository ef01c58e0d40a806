"""How directories compare text: RFC 4517 caseIgnoreMatch with the preparation of RFC 4518, as far as it
matters here."""

from __future__ import annotations

import unicodedata


def case_ignore_key(text: str) -> str:
    """Equal for texts a directory holds equal: compatibility forms, case and the number of spaces do not
    count.

    Never raises. NFKC can lengthen text up to eighteen times: bound untrusted text before.
    """
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    return " ".join(folded.split())
