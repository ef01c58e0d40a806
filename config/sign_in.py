"""[sign_in]: how insiders sign in, for how long, and how guessing is slowed."""

from __future__ import annotations

from pydantic import Field

from config.section import Section


class SignInSettings(Section):
    """Sign-in of insiders against the directory."""

    session_seconds: int = Field(
        default=43200,
        ge=300,
        le=604800,
        description="How long a sign-in lasts, used or not, before the password is asked again; its "
        "connections end with it.",
        json_schema_extra={"unit": "seconds"},
    )
    idle_seconds: int = Field(
        default=3600,
        ge=60,
        le=604800,
        description="How long a sign-in lasts that no page and no program is connected with. NIST SP 800-63B "
        "asks for an hour at most.",
        json_schema_extra={"unit": "seconds"},
    )
    max_per_person: int = Field(
        default=10,
        ge=1,
        le=100,
        description="Sign-ins of one person at the same time; one more ends the one that was longest unused.",
        json_schema_extra={"unit": "sign-ins"},
    )
    max_failures_per_login: int = Field(
        default=4,
        ge=1,
        le=100,
        description="Wrong passwords for one login within the window before further attempts are refused "
        "and the directory is not asked. Must be below the number at which the directory itself locks an "
        "account, or strangers can lock people out of everything else too.",
        json_schema_extra={"unit": "failures"},
    )
    failure_window_seconds: int = Field(
        default=1800,
        ge=10,
        le=86400,
        description="How long a wrong password counts, also across restarts. Must be no shorter than "
        "the time for which the directory counts one.",
        json_schema_extra={"unit": "seconds"},
    )
    max_failures_per_source: int = Field(
        default=100,
        ge=1,
        le=10000,
        description="Wrong passwords from one source within the window before further attempts are refused.",
        json_schema_extra={"unit": "failures"},
    )
    password_check_threads: int = Field(
        default=2,
        ge=1,
        le=32,
        description="Passwords verified at the same time; each costs one core and some 64 MiB while it runs.",
        json_schema_extra={"unit": "threads"},
    )
    notice_text: str = Field(
        default="This system is monitored. Use is limited to authorised people.",
        max_length=4000,
        description="Notice that insiders and administrators acknowledge before they sign in; the "
        "acknowledgement is recorded. Empty for none.",
        json_schema_extra={"unit": "text"},
    )
