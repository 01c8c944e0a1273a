"""Broken policies: each is refused with its line, its key, what is wrong and the remedy."""

import pytest

from retention.errors import PolicyError
from retention.policy_reader import read_policy

SOURCE = "policies/x.toml"

# What to replace in the good policy, by what, and then: the line, the key, words of the message, words of the remedy.
BROKEN = {
    "words for a duration": (
        ('retain = "P6M"', 'retain = "6 months"'),
        (21, "class.call_recording.retain", '"6 months" is not an ISO 8601 duration', 'write retain = "P6M"'),
    ),
    "a duration in hours": (
        ('retain = "P6M"', 'retain = "PT24H"'),
        (21, "class.call_recording.retain", "counts hours", 'write retain = "P1D"'),
    ),
    "a duration with a fraction": (
        ('retain = "P6M"', 'retain = "P0.5Y"'),
        (21, "class.call_recording.retain", "fraction", 'write retain = "P6M"'),
    ),
    "no time at all": (
        ('retain = "P6M"', 'retain = "P0D"'),
        (21, "class.call_recording.retain", "longer than nothing", 'write retain = "P6M"'),
    ),
    "weeks beside months": (
        ('retain = "P6M"', 'retain = "P1M2W"'),
        (21, "class.call_recording.retain", "weeks cannot stand beside", 'write retain = "P14D"'),
    ),
    "a duration as a number": (
        ('retain = "P6M"', "retain = 6"),
        (21, "class.call_recording.retain", "6 is not a string", 'write retain = "…"'),
    ),
    "a period beyond the calendar": (
        ('retain = "P6M"', 'retain = "P9999Y"'),
        (21, "class.call_recording.retain", "outside the calendar", "shorter period"),
    ),
    "no period": (
        ('retain = "P6M"\n', ""),
        (17, "class.call_recording.retain", "missing", 'only from = "city-instruction" goes without'),
    ),
    "an unknown trigger": (
        ('from = "recorded"', 'from = "uploaded"'),
        (22, "class.call_recording.from", '"uploaded" is not a trigger', '"recorded", "received"'),
    ),
    "a fiscal year of nothing": (
        ('from = "recorded"', 'from = "fiscal-year-end-of:"'),
        (22, "class.call_recording.from", "is not a trigger", "fiscal-year-end-of:"),
    ),
    "an unknown key of a class": (
        ("quarantine = true", "quarantined = true"),
        (32, "class.call_recording.quarantined", "not known here", "quarantine"),
    ),
    "an unknown key of the file": (
        ('city = "西宮市"', 'city = "西宮市"\nretain_all = true'),
        (4, "retain_all", "not known here", "take it out, or write one of: contract"),
    ),
    "an unknown table": (
        ("[class.audit_trail]", "[duty.daily]\nx = 1\n\n[class.audit_trail]"),
        (34, "duty", "not known here", "take it out"),
    ),
    "an unknown key of a title": (
        ('en = "Work" }', 'en = "Work", fr = "Travail" }'),
        (2, "title.fr", "not known here", "ja, en"),
    ),
    "an unknown key of a site": (
        ('id = "back"', 'id = "back"\nroom = "1"'),
        (14, "site[2].room", "not known here", "id, ja, en"),
    ),
    "a missing key of a class": (
        ('clause = "NIS-6.1.c.7.3"\n', ""),
        (17, "class.call_recording.clause", "missing", "add clause = …"),
    ),
    "a missing key of a site": (
        ('id = "back"\n', ""),
        (12, "site[2].id", "missing", "add id = …"),
    ),
    "a missing key of the file": (
        ('contract = "x_city"\n', ""),
        (1, "contract", "missing", "add contract = …"),
    ),
    "whether the period is stated, in words": (
        ("stated = true", 'stated = "yes"'),
        (23, "class.call_recording.stated", '"yes" is neither true nor false', "write stated = true"),
    ),
    "an unknown residence": (
        ('residence = "on-premises"', 'residence = "cloud"'),
        (24, "class.call_recording.residence", '"cloud" is not one', 'residence = "on-premises" or residence = "any"'),
    ),
    "three copies": (
        ("copies = 1", "copies = 3"),
        (25, "class.call_recording.copies", "3 is not one", "write copies = 1 or copies = 2"),
    ),
    "no copies": (
        ("copies = 1", "copies = 0"),
        (25, "class.call_recording.copies", "0 is not one", "write copies = 1 or copies = 2"),
    ),
    "true for one copy": (
        ("copies = 1", "copies = true"),
        (25, "class.call_recording.copies", "true is not one", "write copies = 1 or copies = 2"),
    ),
    "one and a half copies": (
        ("copies = 1", "copies = 1.0"),
        (25, "class.call_recording.copies", "1.0 is not one", "write copies = 1 or copies = 2"),
    ),
    "a media type by its ending": (
        ('["audio/wav"]', '["wav"]'),
        (26, "class.call_recording.media_types", '"wav" is not a media type', '"application/pdf"'),
    ),
    "a wildcard for media types": (
        ('["audio/wav"]', '["audio/*"]'),
        (26, "class.call_recording.media_types", "is not a media type", "no wildcard"),
    ),
    "no media types": (
        ('["audio/wav"]', "[]"),
        (26, "class.call_recording.media_types", "empty", "at least one name"),
    ),
    "a size in words": (
        ("max_bytes = 536_870_912", 'max_bytes = "512 MiB"'),
        (27, "class.call_recording.max_bytes", '"512 MiB" is not a whole number', "in bytes"),
    ),
    "a size of nothing": (
        ("max_bytes = 536_870_912", "max_bytes = 0"),
        (27, "class.call_recording.max_bytes", "0 is not a whole number above zero", "in bytes"),
    ),
    "true for a size": (
        ("max_bytes = 536_870_912", "max_bytes = true"),
        (27, "class.call_recording.max_bytes", "true is not a whole number", "in bytes"),
    ),
    "nobody who deposits": (
        ('deposit = ["exchange", "operations_manager"]', "deposit = []"),
        (28, "class.call_recording.deposit", "empty", "at least one name"),
    ),
    "an unknown depositor": (
        ('deposit = ["exchange", ', 'deposit = ["telephone", '),
        (28, "class.call_recording.deposit", '"telephone" is not known', "exchange"),
    ),
    "a depositor named twice": (
        ('deposit = ["exchange", ', 'deposit = ["operations_manager", '),
        (28, "class.call_recording.deposit", '"operations_manager" stands twice', "keep one"),
    ),
    "a depositor that is not in a list": (
        ('deposit = ["exchange", "operations_manager"]', 'deposit = "exchange"'),
        (28, "class.call_recording.deposit", '"exchange" is not a list', 'write deposit = ["…", "…"]'),
    ),
    "nobody who reads": (
        ('read = ["operations_manager", "city_auditor"]', "read = []"),
        (29, "class.call_recording.read", "empty", "at least one name"),
    ),
    "an unknown reader": (
        ('"city_auditor"]', '"auditor"]'),
        (29, "class.call_recording.read", '"auditor" is not known', "city_auditor"),
    ),
    "a station that reads": (
        ('"city_auditor"]', '"exchange"]'),
        (29, "class.call_recording.read", "stations never read", "take it out"),
    ),
    "an administrator who reads": (
        ('"city_auditor"]', '"vault_admin"]'),
        (29, "class.call_recording.read", "no access to content", "take it out"),
    ),
    "an unknown rule for the subject key": (
        ('subject_key = "optional"', 'subject_key = "sometimes"'),
        (30, "class.call_recording.subject_key", '"sometimes" is not one', 'subject_key = "required"'),
    ),
    "a pattern that is none": (
        ("'[0-9]{8}'", "'[0-9'"),
        (31, "class.call_recording.subject_key_pattern", "not a regular expression", "single quotes"),
    ),
    "a pattern for no key": (
        ('subject_key = "optional"', 'subject_key = "none"'),
        (31, "class.call_recording.subject_key_pattern", "has no pattern", "take it out"),
    ),
    "an unknown rule for late records": (
        ('late = "next-run"', 'late = "accept"'),
        (48, "class.audit_trail.late", '"accept" is not one', 'late = "refuse" or late = "next-run"'),
    ),
    "quarantine in words": (
        ("quarantine = true", 'quarantine = "true"'),
        (32, "class.call_recording.quarantine", "neither true nor false", "write quarantine = true"),
    ),
    "a class of PIN memos": (
        ("[class.call_recording]", "[class.pin_memo]"),
        (17, "class.pin_memo", "prohibited: a PIN memo is never accepted", "take it out"),
    ),
    "a class of My Numbers": (
        ("[class.call_recording]", "[class.my_number]"),
        (17, "class.my_number", "prohibited: a My Number is never kept", "take it out"),
    ),
    "a My Number spelt otherwise": (
        ("[class.call_recording]", "[class.MyNumber]"),
        (17, "class.MyNumber", "prohibited", "take it out"),
    ),
    "a My Number as a key": (
        ("quarantine = true", 'my_number = "required"'),
        (32, "class.call_recording.my_number", "prohibited", "take it out"),
    ),
    "a My Number as a site": (
        ('id = "back"', 'id = "my_number"'),
        (13, "site[2].id", "prohibited", "take it out"),
    ),
    "a My Number as the contract": (
        ('contract = "x_city"', 'contract = "my_number"'),
        (1, "contract", "prohibited", "take it out"),
    ),
    "a class id that is no identifier": (
        ("[class.call_recording]", "[class.call-recording]"),
        (17, "class.call-recording", "is not an identifier", "small letters, digits and single _"),
    ),
    "a contract id that climbs folders": (
        ('contract = "x_city"', 'contract = "../x"'),
        (1, "contract", "is not an identifier", "small letters"),
    ),
    "the same site twice": (
        ('id = "back"', 'id = "front"'),
        (13, "site[2].id", 'the site "front" stands twice', "an id of its own"),
    ),
    "the same class twice": (
        ("[class.audit_trail]", "[class.call_recording]"),
        (34, "", "not TOML", "may stand only once"),
    ),
    "the same key twice": (
        ('retain = "P6M"', 'retain = "P6M"\nretain = "P1Y"'),
        (22, "", "not TOML", "may stand only once"),
    ),
    "no audit trail": (
        ("[class.audit_trail]", "[class.audit_log]"),
        (17, "class.audit_trail", "this class is missing", "add a table [class.audit_trail]"),
    ),
    "a term that ends before it starts": (
        ("ends_on = 2025-03-31", "ends_on = 2024-07-31"),
        (5, "ends_on", "2024-07-31 is before starts_on, 2024-08-01", "last day of the term"),
    ),
    "a day in quotes": (
        ("starts_on = 2024-08-01", 'starts_on = "2024-08-01"'),
        (4, "starts_on", '"2024-08-01" is not a day', "without quotes"),
    ),
    "an instant for a day": (
        ("starts_on = 2024-08-01", "starts_on = 2024-08-01T00:00:00+09:00"),
        (4, "starts_on", "is not a day", "write starts_on = 2025-03-31"),
    ),
    "a day that does not exist": (
        ("starts_on = 2024-08-01", "starts_on = 2025-02-29"),
        (4, "", "not TOML", "correct it"),
    ),
    "a title in one language": (
        ('title = { ja = "業務", en = "Work" }', 'title = "業務"'),
        (2, "title", '"業務" is not a table', "write a table [title]"),
    ),
    "an empty title": (
        ('title_ja = "通話録音"', 'title_ja = ""'),
        (18, "class.call_recording.title_ja", "is empty", 'write title_ja = "…"'),
    ),
    "a title that turns text round": (
        ('title_en = "Call recording"', 'title_en = "Call \\u202e recording"'),
        (19, "class.call_recording.title_en", "unseen characters", 'write title_en = "…"'),
    ),
    "a title of two lines": (
        ('title_en = "Call recording"', 'title_en = """Call\nclause = "no"\nrecording"""'),
        (19, "class.call_recording.title_en", "unseen characters", "in one line"),
    ),
    "a class that is no table": (
        ('city = "西宮市"', 'city = "西宮市"\nclass.fax = 1'),
        (4, "class.fax", "1 is not a table", "write a table [class.fax]"),
    ),
    "an unfinished line": (
        ('city = "西宮市"', "city ="),
        (3, "", "not TOML", "correct it"),
    ),
    "a string without end": (
        ('late = "next-run"', 'late = "next-run"\ntitle_fr = """'),
        (49, "", "not TOML", "correct it"),
    ),
    "a number without end": (
        ("max_bytes = 1048576", "max_bytes = " + "9" * 5000),
        (1, "", "not TOML", "correct it"),
    ),
}


def broken(good_policy: str, old: str, new: str) -> str:
    assert old in good_policy, old
    return good_policy.replace(old, new, 1)


@pytest.mark.parametrize("fault", BROKEN)
def test_a_broken_policy_is_refused_with_line_key_and_remedy(fault: str, good_policy: str) -> None:
    replacement, (line, key, message, remedy) = BROKEN[fault]
    with pytest.raises(PolicyError) as refusal:
        read_policy(broken(good_policy, *replacement), SOURCE)
    error = refusal.value
    assert (error.source, error.line, error.key) == (SOURCE, line, key)
    assert message in error.message
    assert remedy in error.remedy
    assert str(error).startswith(f"{SOURCE}:{line}: ")
    assert str(error).endswith(error.remedy)


def test_the_message_is_one_line_that_an_editor_can_follow(good_policy: str) -> None:
    with pytest.raises(PolicyError) as refusal:
        read_policy(broken(good_policy, 'retain = "P6M"', 'retain = "6 months"'), SOURCE)
    assert str(refusal.value) == (
        'policies/x.toml:21: class.call_recording.retain: "6 months" is not an ISO 8601 duration; write retain = "P6M"'
    )


@pytest.mark.parametrize("name", ["retain\\n", "x\\u202ey", "\\u0000"])
@pytest.mark.parametrize(
    "place", ['["{}"]\nx = 1', '"{}" = 1', '[class."{}"]\nx = 1', '[[site]]\nid = "{}"\nja = "1"\nen = "1"']
)
def test_what_a_file_says_cannot_break_or_turn_the_message(name: str, place: str, good_policy: str) -> None:
    with pytest.raises(PolicyError) as refusal:
        read_policy(good_policy + "\n" + place.format(name) + "\n", SOURCE)
    assert str(refusal.value).isprintable()
