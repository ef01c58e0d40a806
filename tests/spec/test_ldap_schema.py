"""What OpenLDAP and Active Directory say about the state of an account, and about a refused password."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import product
from uuid import UUID

import pytest

from auth.directory import EntryState
from auth.ldap_link import INVALID_CREDENTIALS, UNWILLING_TO_PERFORM, BindResult, LdapRecord
from auth.ldap_schema import ActiveDirectory, LdapSchema, OpenLdap

NOW = datetime(2026, 6, 30, 12, 0, tzinfo=UTC).timestamp()
ID = UUID("00112233-4455-6677-8899-aabbccddeeff")
NEVER = b"9223372036854775807"

# What no server should send, for any attribute.
GARBAGE = (
    b"",
    b" ",
    b"\0",
    b"-",
    b"yes",
    b"TRUE ",
    b"512 ",
    b" 512",
    b"+512",
    b"5_1_2",
    b"512.0",
    b"0x200",
    b"1e3",
    b"\xff\xfe",
    "\uff15\uff11\uff12".encode(),
    b"9" * 21,
    b"9" * 5000,
    b"2026",
    b"20260630Z",
    b"2026063012",
    b"20260630120000",
    b"20261330120000Z",
    b"20260631120000Z",
    b"20260630240000Z",
    b"20260630126000Z",
    b"20260630120061Z",
    b"20260630120000.Z",
    b"20260630120000.xZ",
    b"20260630120000.0",
    b"20260630120000ZZ",
    b"20260630120000Z\n",
    b"20260630120000+1",
    b"20260630120000+2500",
    b"20260630 20000Z",
    b"99999999999999Z",
)


def record(**attributes: bytes | None) -> LdapRecord:
    held = {
        name.replace("_", "-").lower(): [value] for name, value in attributes.items() if value is not None
    }
    return LdapRecord("cn=somebody,dc=example", held)


def openldap(lockout_seconds: int | None = None, **attributes: bytes | None) -> EntryState:
    return OpenLdap(lockout_seconds).state(record(**attributes), NOW)


def ad(**attributes: bytes | None) -> EntryState:
    usual: dict[str, bytes | None] = {
        "userAccountControl": b"512",
        "msDS_User_Account_Control_Computed": b"0",
        "accountExpires": NEVER,
        "pwdLastSet": b"133000000000000000",
    }
    return ActiveDirectory().state(record(**{**usual, **attributes}), NOW)


def filetime(unix_seconds: float) -> bytes:
    return str(int((unix_seconds + 11_644_473_600) * 10_000_000)).encode()


def time_text(unix_seconds: float) -> bytes:
    return datetime.fromtimestamp(unix_seconds, UTC).strftime("%Y%m%d%H%M%SZ").encode()


# --- OpenLDAP --------------------------------------------------------------------------------------------


def test_an_entry_without_a_policy_is_active() -> None:
    assert openldap() is EntryState.ACTIVE


@pytest.mark.parametrize("value", [b"000001010000Z", b"00000101000000Z"])
def test_a_lock_by_hand_disables(value: bytes) -> None:
    assert openldap(pwdAccountLockedTime=value) is EntryState.DISABLED
    assert openldap(1, pwdAccountLockedTime=value) is EntryState.DISABLED


def test_a_lock_whose_length_nobody_knows_holds_as_long_as_its_time_stands_there() -> None:
    for moment in (NOW - 10 * 365 * 86400, NOW - 1, NOW, NOW + 60):
        assert openldap(pwdAccountLockedTime=time_text(moment)) is EntryState.LOCKED


@pytest.mark.parametrize(
    ("locked_at", "state"),
    [
        (NOW + 60, EntryState.LOCKED),
        (NOW, EntryState.LOCKED),
        (NOW - 899, EntryState.LOCKED),
        (NOW - 900, EntryState.ACTIVE),
        (NOW - 86400, EntryState.ACTIVE),
    ],
)
def test_a_lock_whose_length_is_known_is_over_in_time(locked_at: float, state: EntryState) -> None:
    assert openldap(900, pwdAccountLockedTime=time_text(locked_at)) is state


def test_a_password_has_a_time_from_which_and_one_until_which_it_counts() -> None:
    assert openldap(pwdStartTime=time_text(NOW + 1)) is EntryState.DISABLED
    assert openldap(pwdStartTime=time_text(NOW)) is EntryState.ACTIVE
    assert openldap(pwdEndTime=time_text(NOW + 1)) is EntryState.ACTIVE
    assert openldap(pwdEndTime=time_text(NOW)) is EntryState.EXPIRED
    assert openldap(pwdStartTime=b"20990101000000Z", pwdEndTime=b"20200101000000Z") is EntryState.DISABLED


def test_shadow_accounts_expire_with_the_beginning_of_a_day() -> None:
    today = int(NOW // 86400)
    assert openldap(shadowExpire=str(today + 1).encode()) is EntryState.ACTIVE
    assert openldap(shadowExpire=str(today).encode()) is EntryState.EXPIRED
    assert openldap(shadowExpire=b"0") is EntryState.EXPIRED
    assert openldap(shadowExpire=b"-1") is EntryState.ACTIVE
    assert openldap(shadowExpire=b"-2") is EntryState.EXPIRED
    assert openldap(shadowExpire=b"9" * 20) is EntryState.ACTIVE


def test_a_password_that_was_reset_has_to_be_changed() -> None:
    assert openldap(pwdReset=b"TRUE") is EntryState.PASSWORD_CHANGE_REQUIRED
    assert openldap(pwdReset=b"true") is EntryState.PASSWORD_CHANGE_REQUIRED
    assert openldap(pwdReset=b"FALSE") is EntryState.ACTIVE


def test_what_is_worse_counts_first_in_openldap() -> None:
    locked, expired, reset = time_text(NOW), time_text(NOW - 1), b"TRUE"
    assert openldap(pwdAccountLockedTime=b"000001010000Z", pwdEndTime=expired) is EntryState.DISABLED
    assert openldap(pwdAccountLockedTime=locked, pwdEndTime=expired, pwdReset=reset) is EntryState.EXPIRED
    assert openldap(pwdAccountLockedTime=locked, pwdReset=reset) is EntryState.LOCKED


@pytest.mark.parametrize(
    ("text", "state"),
    [
        # NOW is 12:00:00 UTC: EXPIRED says that the time is not after it.
        (b"20260630120000Z", EntryState.EXPIRED),
        (b"202606301200Z", EntryState.EXPIRED),
        (b"2026063012Z", EntryState.EXPIRED),
        (b"20260630120001Z", EntryState.ACTIVE),
        (b"20260630120000.0Z", EntryState.EXPIRED),
        (b"20260630120000.001Z", EntryState.ACTIVE),
        (b"20260630120000,5Z", EntryState.ACTIVE),
        (b"20260630120000.123456Z", EntryState.ACTIVE),
        (b"2026063011.99Z", EntryState.EXPIRED),
        (b"2026063012.01Z", EntryState.ACTIVE),
        (b"202606301159.9Z", EntryState.EXPIRED),
        (b"20260630115960Z", EntryState.EXPIRED),
        (b"20260630130000+01", EntryState.EXPIRED),
        (b"20260630130001+0100", EntryState.ACTIVE),
        (b"20260630063000-0530", EntryState.EXPIRED),
        (b"20260630063001-0530", EntryState.ACTIVE),
        (b"20260630120000-0000", EntryState.EXPIRED),
        (b"19010101000000Z", EntryState.EXPIRED),
        (b"99991231235959Z", EntryState.ACTIVE),
    ],
)
def test_times_are_read_in_every_form_of_rfc_4517(text: bytes, state: EntryState) -> None:
    assert openldap(pwdEndTime=text) is state


@pytest.mark.parametrize("attribute", ["pwdAccountLockedTime", "pwdStartTime", "pwdEndTime"])
@pytest.mark.parametrize("value", GARBAGE)
def test_a_time_that_is_not_understood_disables(attribute: str, value: bytes) -> None:
    for schema in (OpenLdap(), OpenLdap(900)):
        assert schema.state(record(**{attribute: value}), NOW) is EntryState.DISABLED


@pytest.mark.parametrize("attribute", ["shadowExpire", "pwdReset"])
@pytest.mark.parametrize("value", [one for one in GARBAGE if not one.isdigit() or len(one) > 20])
def test_a_number_or_a_yes_that_is_not_understood_disables(attribute: str, value: bytes) -> None:
    assert OpenLdap().state(record(**{attribute: value}), NOW) is EntryState.DISABLED


# --- Active Directory ------------------------------------------------------------------------------------


def test_a_usual_account_is_active() -> None:
    assert ad() is EntryState.ACTIVE


def test_an_account_without_its_control_bits_is_disabled() -> None:
    assert ad(userAccountControl=None) is EntryState.DISABLED


def test_the_control_bit_disables_among_any_others() -> None:
    assert ad(userAccountControl=b"514") is EntryState.DISABLED
    assert ad(userAccountControl=str(0x10200 | 2).encode()) is EntryState.DISABLED
    assert ad(userAccountControl=str(0x10200).encode()) is EntryState.ACTIVE
    assert ad(userAccountControl=b"-1") is EntryState.DISABLED


@pytest.mark.parametrize(
    ("expires", "state"),
    [
        (None, EntryState.ACTIVE),
        (b"0", EntryState.ACTIVE),
        (NEVER, EntryState.ACTIVE),
        (filetime(NOW + 1), EntryState.ACTIVE),
        (filetime(NOW), EntryState.EXPIRED),
        (filetime(NOW - 1), EntryState.EXPIRED),
        (b"1", EntryState.EXPIRED),
        (b"-1", EntryState.EXPIRED),
        (b"-9223372036854775808", EntryState.EXPIRED),
        (b"9223372036854775806", EntryState.ACTIVE),
        (b"99999999999999999999", EntryState.ACTIVE),
    ],
)
def test_an_account_expires_at_its_time_or_never(expires: bytes | None, state: EntryState) -> None:
    assert ad(accountExpires=expires) is state


def test_lock_and_old_password_show_in_the_computed_bits_alone() -> None:
    assert ad(msDS_User_Account_Control_Computed=b"16") is EntryState.LOCKED
    assert ad(userAccountControl=str(512 | 16).encode()) is EntryState.ACTIVE
    assert ad(lockoutTime=filetime(NOW - 60)) is EntryState.ACTIVE
    assert ad(msDS_User_Account_Control_Computed=b"8388608") is EntryState.PASSWORD_CHANGE_REQUIRED
    assert ad(msDS_User_Account_Control_Computed=None) is EntryState.ACTIVE


def test_a_password_that_was_never_set_has_to_be_changed() -> None:
    assert ad(pwdLastSet=b"0") is EntryState.PASSWORD_CHANGE_REQUIRED
    assert ad(pwdLastSet=None) is EntryState.PASSWORD_CHANGE_REQUIRED


def test_what_is_worse_counts_first_in_active_directory() -> None:
    gone, locked = filetime(NOW - 1), str(0x800010).encode()
    disabled = ad(userAccountControl=b"514", accountExpires=gone, msDS_User_Account_Control_Computed=locked)
    assert disabled is EntryState.DISABLED
    assert ad(accountExpires=gone, msDS_User_Account_Control_Computed=locked) is EntryState.EXPIRED
    assert ad(msDS_User_Account_Control_Computed=locked, pwdLastSet=b"0") is EntryState.LOCKED


@pytest.mark.parametrize(
    "attribute",
    ["userAccountControl", "msDS_User_Account_Control_Computed", "accountExpires", "pwdLastSet"],
)
@pytest.mark.parametrize("value", [one for one in GARBAGE if not one.isdigit() or len(one) > 20])
def test_a_number_that_is_not_understood_disables(attribute: str, value: bytes) -> None:
    assert ad(**{attribute: value}) is EntryState.DISABLED


# --- both ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("schema", [OpenLdap(), ActiveDirectory()])
def test_no_mixture_of_nonsense_raises_or_activates(schema: LdapSchema) -> None:
    for first, second in product(schema.state_attributes, repeat=2):
        for value, other in product((b"", b"x", b"\xff", b"9" * 30), repeat=2):
            nonsense = LdapRecord("", {first.lower(): [value], second.lower(): [other]})
            if {first, second} != {"pwdChangedTime"}:
                assert schema.state(nonsense, NOW) is EntryState.DISABLED


def test_an_id_is_found_again_by_the_same_bytes() -> None:
    assert OpenLdap().stable_id(record(entryUUID=str(ID).upper().encode())) == str(ID)
    assert OpenLdap().id_filter(ID) == f"(entryUUID={ID})"
    assert ActiveDirectory().stable_id(record(objectGUID=ID.bytes_le)) == str(ID)
    escaped = "".join(f"\\{byte:02x}" if not 48 <= byte <= 122 else chr(byte) for byte in ID.bytes_le)
    assert ActiveDirectory().id_filter(ID) == f"(objectGUID={escaped})"


@pytest.mark.parametrize("value", [None, b"", b"x", b"\xff" * 16, b"0" * 15, b"0" * 17])
def test_who_has_no_id_has_none(value: bytes | None) -> None:
    assert OpenLdap().stable_id(record(entryUUID=value)) is None
    if value is None or len(value) != 16:
        assert ActiveDirectory().stable_id(record(objectGUID=value)) is None


AD_TEXT = "80090308: LdapErr: DSID-0C09044E, comment: AcceptSecurityContext error, data {}, v2580\0"


@pytest.mark.parametrize(
    ("code", "was_right"),
    [
        ("525", False),
        ("52e", False),
        ("775", False),
        ("530", True),
        ("531", True),
        ("532", True),
        ("533", True),
        ("701", True),
        ("773", True),
        ("999", False),
    ],
)
def test_active_directory_says_why_it_refuses_a_password(code: str, was_right: bool) -> None:
    result = BindResult(INVALID_CREDENTIALS, AD_TEXT.format(code))
    assert ActiveDirectory().refusal(result) == (f"ad_{code}", was_right)


@pytest.mark.parametrize(
    "text", ["", "data", "data ", "data 0, v1", "data 52e9a, v1", "Data 533", "data 53 3"]
)
def test_a_diagnostic_that_is_no_such_text_is_a_wrong_password(text: str) -> None:
    assert ActiveDirectory().refusal(BindResult(INVALID_CREDENTIALS, text)) == ("result_49", False)


def test_openldap_tells_the_result_alone() -> None:
    assert OpenLdap().refusal(BindResult(UNWILLING_TO_PERFORM, "data 533")) == ("result_53", False)
