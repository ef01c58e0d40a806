"""[tls]: the certificate every listener shows."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from config.section import FilePath, Section


class TlsSettings(Section):
    """The certificate of all listeners; only the demo runs without one, with a certificate of its own."""

    certificate_file: FilePath | None = Field(
        default=None,
        description="PEM file with the certificate and its intermediates, leaf first.",
        json_schema_extra={"unit": "path"},
    )
    private_key_file: FilePath | None = Field(
        default=None,
        description="PEM file with the certificate's unencrypted private key, readable by the service alone.",
        json_schema_extra={"unit": "path"},
    )

    @model_validator(mode="after")
    def _both_or_none(self) -> Self:
        if (self.certificate_file is None) != (self.private_key_file is None):
            raise ValueError("certificate_file and private_key_file belong together: set both or none")
        return self
