"""What an LDIF file says about people and groups."""

import base64

import pytest

from auth.directory import DirectoryEntry, EntryState
from auth.ldif_people import LdifContent, read_people
from auth.ldif_records import LdifError

ADA_ID = "00000000-0000-4000-8000-00000000000a"
GRACE_ID = "00000000-0000-4000-8000-00000000000b"
HASH = "{ARGON2}$argon2id$v=19$m=8,t=1,p=1$" + "c" * 22 + "$" + "d" * 43
DEAR_HASH = HASH.replace("m=8", "m=1024")


def person(login: str = "ada", stable_id: str = ADA_ID, *lines: str) -> str:
    return "\n".join(
        [
            f"dn: uid={login},dc=example",
            "objectClass: inetOrgPerson",
            f"uid: {login}",
            f"entryUUID: {stable_id}",
        ]
        + ([] if any(line.startswith("cn") for line in lines) else [f"cn: {login.title()}"])
        + [*lines, "", ""]
    )


def group(name: str, *members: str) -> str:
    lines = [f"dn: cn={name},dc=example", "objectClass: groupOfNames", f"cn: {name}"]
    return "\n".join([*lines, *(f"member: {member},dc=example" for member in members), "", ""])


def _read(*entries: str) -> LdifContent:
    return read_people("".join(entries).encode())


def _entry(content: LdifContent, stable_id: str = ADA_ID) -> DirectoryEntry:
    return content.by_stable_id[stable_id].entry


def _mistake(*entries: str) -> tuple[int, str]:
    with pytest.raises(LdifError) as refusal:
        _read(*entries)
    return refusal.value.line_number, refusal.value.message


def test_a_person_has_login_name_stable_id_and_is_active() -> None:
    entry = _entry(_read(person("ada", ADA_ID, "cn: Ada L", "cn: A. L.")))
    assert (entry.login.reveal(), entry.name.reveal()) == ("ada", "Ada L")
    assert (entry.stable_id, entry.state, entry.groups) == (ADA_ID, EntryState.ACTIVE, frozenset())


def test_the_display_name_counts_before_the_common_name() -> None:
    assert _entry(_read(person("ada", ADA_ID, "displayName: The Countess"))).name.reveal() == "The Countess"


def test_the_stable_id_is_lower_case_however_it_is_written() -> None:
    assert set(_read(person("ada", ADA_ID.upper())).by_stable_id) == {ADA_ID}


def test_a_person_is_found_by_any_spelling_the_directory_holds_equal() -> None:
    assert set(_read(person("Ada  L")).by_login) == {"ada l"}


def test_classes_and_attribute_names_are_understood_in_any_case() -> None:
    content = _read(
        person().replace("objectClass: inetOrgPerson", "OBJECTCLASS: INETORGPERSON").replace("uid:", "UID:")
    )
    assert _entry(content).login.reveal() == "ada"


@pytest.mark.parametrize(
    ("lines", "state"),
    [
        ((), EntryState.ACTIVE),
        (("loginDisabled: FALSE", "pwdReset: false"), EntryState.ACTIVE),
        (("loginDisabled: TRUE",), EntryState.DISABLED),
        (("loginDisabled: true", "pwdAccountLockedTime: 000001010000Z"), EntryState.DISABLED),
        (("pwdAccountLockedTime: 000001010000Z",), EntryState.LOCKED),
        (("pwdAccountLockedTime:",), EntryState.LOCKED),
        (("pwdAccountLockedTime: 20260101000000Z", "pwdReset: TRUE"), EntryState.LOCKED),
        (("pwdReset: TRUE",), EntryState.PASSWORD_CHANGE_REQUIRED),
    ],
)
def test_the_state_is_read_from_the_terms_directories_use(lines: tuple[str, ...], state: EntryState) -> None:
    content = _read(person("ada", ADA_ID, *lines))
    assert _entry(content).state is state
    assert [entry.stable_id for entry in content.active] == ([ADA_ID] if state is EntryState.ACTIVE else [])


def test_active_people_are_listed_by_name() -> None:
    content = _read(
        person("ada", ADA_ID, "cn: zoe"),
        person("grace", GRACE_ID, "cn: Ärne"),
        person("k", ADA_ID[:-1] + "c"),
    )
    assert [entry.name.reveal() for entry in content.active] == ["K", "zoe", "Ärne"]


def test_policy_sees_text_attributes_sorted_and_one_pair_per_value() -> None:
    entry = _entry(_read(person("ada", ADA_ID, "ou: b", "ou: a", "ou: a", "departmentNumber: 7")))
    assert entry.attributes == (
        ("cn", "Ada"),
        ("departmentNumber", "7"),
        ("entryUUID", ADA_ID),
        ("objectClass", "inetOrgPerson"),
        ("ou", "a"),
        ("ou", "b"),
        ("uid", "ada"),
    )


@pytest.mark.parametrize(
    "line",
    [
        f"userPassword: {HASH}",
        f"USERPASSWORD: {HASH}",
        "userPassword;x-old: secret",
        "unicodePwd: secret",
        "pwdHistory: secret",
        "sambaNTPassword: secret",
        "krbPrincipalKey: secret",
        "userCertificate;binary: secret",
        "jpegPhoto:: " + base64.b64encode(b"\xff\xd8secret").decode(),
        "description:: " + base64.b64encode(b"two\nlines secret").decode(),
    ],
)
def test_policy_sees_neither_passwords_nor_anything_that_is_not_plain_text(line: str) -> None:
    content = _read(person("ada", ADA_ID, line))
    assert {name for name, _ in _entry(content).attributes} == {"cn", "entryUUID", "objectClass", "uid"}
    shown = repr(content) + repr(content.by_login)
    assert "secret" not in shown
    assert "argon2id" not in shown


def test_the_version_changes_with_everything_that_is_known_of_a_person_and_with_nothing_else() -> None:
    plain = person("ada", ADA_ID, "ou: a", "ou: b")
    versions = [
        _entry(_read(*entries)).version
        for entries in [
            (plain,),
            (person("ada2", ADA_ID, "ou: a", "ou: b"),),
            (person("ada", ADA_ID, "ou: a"),),
            (person("ada", ADA_ID, "ou: a", "ou: b", "displayName: A"),),
            (person("ada", ADA_ID, "ou: a", "ou: b", "loginDisabled: TRUE"),),
            (person("ada", ADA_ID, "ou: a", "ou: b", f"userPassword: {HASH}"),),
            (plain, group("staff", "uid=ada")),
        ]
    ]
    assert len(set(versions)) == len(versions)
    same = _read(
        "# moved\n\n",
        person("grace", GRACE_ID),
        group("g", "uid=grace"),
        person("ada", ADA_ID, "ou: b", "ou: a"),
    )
    assert _entry(same).version == versions[0]


def test_a_member_of_a_nested_group_is_in_the_outer_groups_too() -> None:
    content = _read(
        person(),
        person("grace", GRACE_ID),
        group("Outer", "cn=middle", "uid=grace"),
        group("middle", "cn=inner"),
        group("inner", "UID = ADA"),
        group("other", "cn=outer"),
        group("empty"),
    )
    assert _entry(content).groups == {"inner", "middle", "Outer", "other"}
    assert _entry(content, GRACE_ID).groups == {"Outer", "other"}


def test_groups_that_contain_each_other_end_and_share_their_members() -> None:
    content = _read(
        person(),
        person("grace", GRACE_ID),
        group("a", "cn=b", "cn=a", "uid=ada"),
        group("b", "cn=c"),
        group("c", "cn=a", "uid=grace"),
    )
    assert _entry(content).groups == _entry(content, GRACE_ID).groups == {"a", "b", "c"}


def _chain(depth: int) -> list[str]:
    return [group("g0", "uid=ada"), *(group(f"g{n}", f"cn=g{n - 1}") for n in range(1, depth))]


def test_groups_nest_to_the_bound_and_not_beyond() -> None:
    assert len(_entry(_read(person(), *_chain(16))).groups) == 16
    line_number, message = _mistake(person(), *_chain(17))
    assert message == "groups are nested more than 16 deep"
    assert line_number == 7 + 16 * 5


def test_a_lattice_of_groups_is_resolved_group_by_group() -> None:
    levels = [
        group(f"g{level}x{n}", *([f"cn=g{level - 1}x{m}" for m in range(8)] if level else ["uid=ada"]))
        for level in range(16)
        for n in range(8)
    ]
    assert len(_entry(_read(person(), *levels)).groups) == 128


def test_the_decoy_costs_what_most_passwords_cost() -> None:
    content = _read(
        person("ada", ADA_ID, f"userPassword: {HASH}"),
        person("grace", GRACE_ID, f"userPassword: {DEAR_HASH}"),
        person("ken", ADA_ID[:-1] + "c", f"userPassword: {DEAR_HASH}"),
    )
    assert content.decoy is not None
    assert content.decoy.cost == (1024, 1, 1)
    assert _read(person()).decoy is None


def test_containers_are_read_over() -> None:
    content = _read("dn: dc=example\nobjectClass: top\nobjectClass: domain\ndc: example\n\n", person())
    assert set(content.by_login) == {"ada"}


UNKNOWN = "objectClass has none of"


@pytest.mark.parametrize(
    ("entries", "line_number", "message"),
    [
        ((person(), person("grace", ADA_ID)), 10, "line 4 has this entryUUID already"),
        ((person(), person("grace", ADA_ID.upper())), 10, "line 4 has this entryUUID already"),
        ((person(), person("ADA", GRACE_ID).replace("dc=example", "dc=b")), 9, "line 3 has this uid already"),
        ((person(), person("Ada", GRACE_ID)), 7, "line 1 has this dn already"),
        (
            (person(), group("g", "uid=ada"), group("G").replace("dc=", "ou=b,dc=")),
            12,
            "line 7 has a group of this cn",
        ),
        ((person("ada", ADA_ID, "uid: countess"),), 6, "a second uid"),
        ((person("ada", ADA_ID, f"entryUUID: {GRACE_ID}"),), 6, "a second entryUUID"),
        (
            (person("ada", ADA_ID, "loginDisabled: TRUE", "LoginDisabled: FALSE"),),
            7,
            "a second loginDisabled",
        ),
        (
            (person("ada", ADA_ID, f"userPassword: {HASH}", f"userPassword: {HASH}"),),
            7,
            "a second userPassword",
        ),
        ((person("ada", ADA_ID, "userPassword: secret"),), 6, "{ARGON2}"),
        ((person("ada", ADA_ID, "userPassword: {ARGON2}secret"),), 6, "not an argon2id hash"),
        ((person("ada", ADA_ID, "userPassword:: /w=="),), 6, "not UTF-8"),
        ((person("ada", "secret"),), 4, "entryUUID is no UUID"),
        ((person("ada", ADA_ID + "a"),), 4, "entryUUID has not 1 to 36 characters"),
        ((person().replace("entryUUID", "description"),), 1, "no entryUUID"),
        ((person().replace("uid: ada", "sn: ada"),), 1, "no uid"),
        ((person("ada", ADA_ID, "cnx: a"),), 1, "neither displayName nor cn"),
        ((person("ada", ADA_ID, "cn:"),), 5, "cn has not 1 to 256 characters"),
        ((person("ada", ADA_ID, "displayName: " + "x" * 257),), 6, "displayName has not 1 to 256"),
        ((person("ada", ADA_ID, "displayName:: YQpi"),), 6, "control characters"),
        ((person("ada", ADA_ID, "loginDisabled: secret"),), 6, "neither TRUE nor FALSE"),
        ((person("ada", ADA_ID, "pwdEndTime: 20260101000000Z"),), 6, "use loginDisabled"),
        ((person("ada", ADA_ID, "shadowExpire: 1"),), 6, "use loginDisabled"),
        ((person(), group("g", "uid=secret")), 10, "no entry of the file"),
        ((person(), group("g", "secret")), 10, "list of type=value"),
        ((group("g").replace("cn: g", "sn: g"),), 1, "no cn"),
        ((person().replace("dn: uid=ada", "dn: ada"),), 1, "list of type=value"),
        ((person("ada", ADA_ID, "objectClass: groupOfNames"),), 1, "a person and a group at once"),
        ((group("g").replace("groupOfNames", "posixGroup"),), 1, UNKNOWN),
        ((group("g").replace("groupOfNames", "groupOfUniqueNames"),), 1, UNKNOWN),
        (("dn: cn=a\ncn: a\n",), 1, UNKNOWN),
        (("nonsense\n",), 1, "no colon"),
    ],
)
def test_a_mistake_is_told_with_its_line_and_without_the_value(
    entries: tuple[str, ...], line_number: int, message: str
) -> None:
    number, told = _mistake(*entries)
    assert message in told
    assert number == line_number
    assert "secret" not in told
