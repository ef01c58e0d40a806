"""The one error of every parser of this package."""


class MalformedError(ValueError):
    """These bytes are not what RFC 8489 or RFC 8656 says they should be."""
