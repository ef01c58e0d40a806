"""What fuzzing of the parsers that read people starts from."""

from __future__ import annotations

from tests.fuzz.targets import INVITATIONS
from tests.spec.software_key import ASKED, UNCHANGING

GUEST = {
    "plain": b"eve@p.example\nGrace Hopper\nAQAAAABrS",
    "a-label": b"o'brien+x@xn--bcher-kva.example\nZo\xc3\xab \xe2\x80\x8d",
    "not-ascii": "eve@\u212aey.example\nGrace\u202e reppoH".encode(),
    "two": b"eve@foe.example@p.example\n\x1b[2J",
    "signed": b"\n\n" + INVITATIONS.sign("i-4711", 1, 1_800_000_000, bytes(16)).encode(),
}

SECOND_FACTOR = {
    "a-login": b"carol:JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP",
    "an-address": b"Carol@EXAMPLE.org:jbswy3dpehpk3pxpjbswy3dpehpk3pxp",
    "padded": b"carol:JBSWY3DPEHPK3PXPJBSWY3DPEE======",
    "too-short": b"carol:JBSWY3DPEHPK3PXP",
    "colons": b"urn:x:carol:JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP",
    "no-base32": b"carol:0123456789abcdef0123456789abcdef",
}

SECURITY_KEY = {"made": UNCHANGING.made(ASKED).encode(), "used": UNCHANGING.used(ASKED).encode()}

OPENLDAP = b"o\0\x69\x43\x9d\x40\nentryUUID=00112233-4455-6677-8899-aabbccddeeff\nuid=ada\ncn=Ada\n"
ACTIVE_DIRECTORY = (
    b"a\0\x69\x43\x9d\x40\nobjectGUID=0123456789abcdef\nsAMAccountName=ada\ndisplayName=Ada Byron\n"
    b"userAccountControl=512\npwdLastSet=133000000000000000\naccountExpires="
)
ENTRY = {
    "openldap": OPENLDAP + b"displayName=Ada Byron\ntitle=Analyst\nou=a\nou=b",
    "openldap-locked": OPENLDAP + b"pwdAccountLockedTime=20251218060000Z\npwdReset=FALSE\nshadowExpire=-1",
    "openldap-times": OPENLDAP + b"pwdStartTime=20250101000000.5+0130\npwdEndTime=2099010100Z\npwdReset=TRUE",
    "openldap-by-hand": OPENLDAP + b"pwdAccountLockedTime=000001010000Z",
    "ad": ACTIVE_DIRECTORY + b"9223372036854775807",
    "ad-disabled": ACTIVE_DIRECTORY.replace(b"512", b"514") + b"0",
    "ad-expired": ACTIVE_DIRECTORY + b"134000000000000000\nmsDS-User-Account-Control-Computed=8388624",
    "odd": OPENLDAP + "title=ä\x1b\ntitle=ö\ndisplayName= Ada\u2028 \x07Byron ".encode() + b"\nou=\xff",
    "nobody": b"",
}
