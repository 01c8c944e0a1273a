"""The text of a policy file to a checked `Policy`, or a refusal that names file, line, key, fault and remedy.

Leaves out opening the file: the caller hands in its text. A policy is followed whole or not at all, so the first fault
refuses it, and what is not known is a fault: a misspelt key must not silently become a default.
"""

import hashlib
import re
import tomllib
from collections.abc import Collection
from types import MappingProxyType
from typing import Final

from retention.errors import PeriodError, PolicyError
from retention.periods import Period
from retention.policy import AUDIT_TRAIL, Copies, LateRule, Policy, RecordClass, Residence, Site, SubjectKeyRule, Title
from retention.policy_fields import Fields
from retention.policy_lines import KeyLines
from retention.roles import DEPOSITORS, READERS, Role, StationKind
from retention.triggers import TRIGGERS, Trigger, TriggerEvent

_POLICY_KEYS: Final = ("contract", "title", "city", "starts_on", "ends_on", "site", "class")
_SITE_KEYS: Final = ("id", "ja", "en")
_CLASS_KEYS: Final = (
    *("title_ja", "title_en", "from", "residence", "copies", "media_types", "max_bytes"),
    *("deposit", "read", "clause", "stated", "subject_key"),
)
_CLASS_OPTIONAL_KEYS: Final = ("retain", "subject_key_pattern", "late", "quarantine")

_RESIDENCES: Final[tuple[Residence, ...]] = ("on-premises", "any")
_COPIES: Final[tuple[Copies, ...]] = (1, 2)
_SUBJECT_KEY_RULES: Final[tuple[SubjectKeyRule, ...]] = ("required", "optional", "none")
_LATE_RULES: Final[tuple[LateRule, ...]] = ("refuse", "next-run")

_MEDIA_TYPE: Final = re.compile(r"[a-z0-9][a-z0-9!#$&^_.+-]*/[a-z0-9][a-z0-9!#$&^_.+-]*")  # RFC 6838, section 4.2
_TOML_LINE: Final = re.compile(r"\(at line (\d+), column \d+\)")
_TOML_END: Final = "(at end of document)"


def read_policy(text: str, source: str) -> Policy:
    """Read one contract's policy from its text.

    Args:
        text: the whole file in TOML 1.0.
        source: the file's name, for messages only.

    Raises:
        PolicyError: the text is not TOML, or says something that cannot or must not be followed.
    """
    lines = KeyLines(text)
    top = Fields(_values(text, source), (), source, lines)
    top.hold_only(_POLICY_KEYS)
    starts_on, ends_on = top.day("starts_on"), top.day("ends_on")
    if ends_on < starts_on:
        top.refuse("ends_on", f"{ends_on} is before starts_on, {starts_on}", "write the last day of the term")
    policy = Policy(
        contract=top.identifier("contract"),
        title=_title(top.table("title")),
        city=top.text("city"),
        starts_on=starts_on,
        ends_on=ends_on,
        sites=_sites(top.tables("site")),
        classes=MappingProxyType(_classes(top.table("class"))),
        sha256=hashlib.sha256(text.encode()).hexdigest(),
    )
    _refuse_endless(policy, top.table("class"))
    return policy


def _values(text: str, source: str) -> dict[str, object]:
    try:
        text.encode()  # lone surrogates, which the digest could not take
        return tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # TOMLDecodeError is a ValueError; so is a number of 5,000 digits
        fault = str(error)
    if place := _TOML_LINE.search(fault):
        line = int(place[1])
    else:  # at the end of the document, or from below tomllib, which knows no lines
        line = text.rstrip().count("\n") + 1 if _TOML_END in fault else 1
    message = f"this is not TOML: {_TOML_LINE.sub('', fault).strip()}"
    raise PolicyError(source, line, "", message, "correct it; every table and key may stand only once")


def _title(fields: Fields) -> Title:
    fields.hold_only(("ja", "en"))
    return Title(ja=fields.text("ja"), en=fields.text("en"))


def _sites(tables: list[Fields]) -> tuple[Site, ...]:
    sites: dict[str, Site] = {}
    for fields in tables:
        fields.hold_only(_SITE_KEYS)
        site = Site(id=fields.identifier("id"), ja=fields.text("ja"), en=fields.text("en"))
        if site.id in sites:
            fields.refuse("id", f'the site "{site.id}" stands twice', "give each site an id of its own")
        sites[site.id] = site
    return tuple(sites.values())


def _classes(fields: Fields) -> dict[str, RecordClass]:
    for class_id in fields.values:
        fields.check_identifier(class_id, class_id)
    classes = {class_id: _record_class(class_id, fields.table(class_id)) for class_id in fields.values}
    if AUDIT_TRAIL not in classes:
        remedy = f"add a table [class.{AUDIT_TRAIL}]; the vault keeps the sealed parts of its own events in it"
        fields.refuse(AUDIT_TRAIL, "this class is missing", remedy)
    return classes


def _record_class(class_id: str, fields: Fields) -> RecordClass:
    fields.hold_only(_CLASS_KEYS, _CLASS_OPTIONAL_KEYS)
    trigger = _trigger(fields)
    subject_key = fields.choice("subject_key", _SUBJECT_KEY_RULES)
    return RecordClass(
        id=class_id,
        title_ja=fields.text("title_ja"),
        title_en=fields.text("title_en"),
        retain=_retain(fields, trigger),
        trigger=trigger,
        residence=fields.choice("residence", _RESIDENCES),
        copies=fields.choice("copies", _COPIES),
        media_types=_media_types(fields),
        max_bytes=fields.positive("max_bytes"),
        deposit=_names(fields, "deposit", DEPOSITORS),
        read=_names(fields, "read", READERS),
        clause=fields.text("clause"),
        stated=fields.flag("stated"),
        subject_key=subject_key,
        subject_key_pattern=_subject_key_pattern(fields, subject_key),
        late=fields.choice("late", _LATE_RULES) if "late" in fields.values else "refuse",
        quarantine=fields.flag("quarantine") if "quarantine" in fields.values else False,
    )


def _trigger(fields: Fields) -> Trigger:
    name = fields.text("from")
    if name not in TRIGGERS:
        events = ", ".join(f'"{event}"' for event in TriggerEvent)
        fields.refuse("from", f'"{name}" is not a trigger', f'write one of {events}, or one with "fiscal-year-end-of:"')
    return TRIGGERS[name]


def _retain(fields: Fields, trigger: Trigger) -> Period | None:
    if "retain" not in fields.values:
        if trigger.event is not TriggerEvent.CITY_INSTRUCTION:
            remedy = 'write retain = "P5Y" or the like; only from = "city-instruction" goes without'
            fields.refuse("retain", "this key is missing", remedy)
        return None
    try:
        return Period.parse(fields.text("retain"))
    except PeriodError as error:
        fields.refuse("retain", error.message, f'write retain = "{error.example}"')


def _names(fields: Fields, key: str, known: Collection[str]) -> frozenset[str]:
    names = fields.strings(key)
    for name in names:
        if name in known:
            continue
        if name in frozenset[str](StationKind):
            fields.refuse(key, f'"{name}" is a station, and stations never read', "take it out")
        if name == Role.VAULT_ADMIN:
            fields.refuse(key, f'"{name}" has no access to content', "take it out")
        fields.refuse(key, f'"{name}" is not known', f"write some of: {', '.join(sorted(known))}")
    return frozenset(names)


def _media_types(fields: Fields) -> tuple[str, ...]:
    media_types = fields.strings("media_types")
    for media_type in media_types:
        if not _MEDIA_TYPE.fullmatch(media_type):
            remedy = 'write it like "application/pdf": small letters, no wildcard, no parameters'
            fields.refuse("media_types", f'"{media_type}" is not a media type', remedy)
    return media_types


def _subject_key_pattern(fields: Fields, rule: SubjectKeyRule) -> str | None:
    key = "subject_key_pattern"
    if key not in fields.values:
        return None
    if rule == "none":
        fields.refuse(key, "a class without subject keys has no pattern for them", "take it out")
    pattern = fields.text(key)
    try:
        re.compile(pattern)
    except (re.error, OverflowError, RecursionError) as error:
        remedy = f"write it in single quotes, as {key} = '[0-9]{{8}}'"
        fields.refuse(key, f"this is not a regular expression: {error}", remedy)
    return pattern


def _refuse_endless(policy: Policy, classes: Fields) -> None:
    """Refuse periods that would leave the calendar, now and not when a record comes in."""
    for record_class in policy.classes.values():
        try:
            record_class.disposal_date_for(policy.ends_on)
        except PeriodError as error:
            classes.table(record_class.id).refuse("retain", error.message, "write a shorter period")
