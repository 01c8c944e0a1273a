"""Reading a policy's text: every value of a good one, and that nothing but a refusal comes of other texts."""

import hashlib
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retention.errors import PolicyError
from retention.periods import Period
from retention.policy import Policy, Site, Title
from retention.policy_reader import read_policy
from retention.triggers import TRIGGERS

SOURCE = "policies/x.toml"
TOML_LIKE = "[]{}=\"'.,#\n _abcdefgilnoprstuy0123456789-業\ud800"


def read(text: str) -> Policy:
    return read_policy(text, SOURCE)


def test_reads_every_value_of_a_good_policy(good_policy: str) -> None:
    policy = read(good_policy)
    assert (policy.contract, policy.title, policy.city) == ("x_city", Title(ja="業務", en="Work"), "西宮市")
    assert (policy.starts_on, policy.ends_on) == (date(2024, 8, 1), date(2025, 3, 31))
    assert policy.sites == (Site("front", "窓口", "Front"), Site("back", "事務", "Back"))
    assert list(policy.classes) == ["call_recording", "audit_trail"]


def test_reads_every_value_of_a_class(good_policy: str) -> None:
    call = read(good_policy).classes["call_recording"]
    assert (call.id, call.title_ja, call.title_en) == ("call_recording", "通話録音", "Call recording")
    assert (call.retain, call.trigger, call.clause) == (Period(months=6), TRIGGERS["recorded"], "NIS-6.1.c.7.3")
    assert (call.stated, call.residence, call.copies) == (True, "on-premises", 1)
    assert (call.media_types, call.max_bytes) == (("audio/wav",), 512 * 1024 * 1024)
    assert call.deposit == {"exchange", "operations_manager"}
    assert call.read == {"operations_manager", "city_auditor"}
    assert (call.subject_key, call.subject_key_pattern) == ("optional", "[0-9]{8}")
    assert (call.late, call.quarantine) == ("refuse", True)


def test_what_a_class_leaves_out_is_the_strict_choice(good_policy: str) -> None:
    classes = read(good_policy).classes
    assert classes["call_recording"].late == "refuse"
    assert classes["audit_trail"].quarantine is False
    assert classes["audit_trail"].subject_key_pattern is None


def test_the_digest_names_the_text_to_the_byte(good_policy: str) -> None:
    assert read(good_policy).sha256 == hashlib.sha256(good_policy.encode()).hexdigest()
    assert read(good_policy + "# one comment more\n").sha256 != read(good_policy).sha256


def test_the_classes_cannot_be_changed(good_policy: str) -> None:
    policy = read(good_policy)
    with pytest.raises(TypeError):
        policy.classes["fax"] = policy.classes["audit_trail"]  # type: ignore[index]  # the point of the test


def test_only_a_city_instruction_goes_without_a_period(good_policy: str) -> None:
    text = good_policy.replace('retain = "P6M"\nfrom = "recorded"', 'from = "city-instruction"')
    assert read(text).classes["call_recording"].retain is None


@pytest.mark.parametrize("trigger", list(TRIGGERS))
def test_every_trigger_can_be_named(trigger: str, good_policy: str) -> None:
    text = good_policy.replace('from = "recorded"', f'from = "{trigger}"')
    assert read(text).classes["call_recording"].trigger_name() == trigger


def test_a_full_width_space_in_a_title_is_text(good_policy: str) -> None:
    text = good_policy.replace("通話録音", "通話\u3000録音")
    assert read(text).classes["call_recording"].title_ja == "通話\u3000録音"


def test_the_source_is_a_name_for_messages_and_changes_nothing(good_policy: str) -> None:
    assert read_policy(good_policy, "no/such/file.toml") == read(good_policy)


@pytest.mark.parametrize("empty", ["", "\n", "# nothing\n"])
def test_an_empty_file_is_refused_at_its_first_line(empty: str) -> None:
    with pytest.raises(PolicyError, match="this key is missing") as refusal:
        read(empty)
    assert (refusal.value.line, refusal.value.key) == (1, "contract")


@pytest.mark.parametrize("text", ["x = " + "[" * 5000, "# \udc80", "\ufeffx = 1", "x = nan = 1", "\x00"])
def test_a_text_that_is_not_toml_is_refused_and_raises_nothing_else(text: str) -> None:
    with pytest.raises(PolicyError, match="this is not TOML"):
        read(text)


@given(data=st.data())
def test_no_damage_to_the_text_escapes_as_another_error(data: st.DataObject, good_policy: str) -> None:
    start = data.draw(st.integers(0, len(good_policy)))
    end = data.draw(st.integers(start, min(start + 40, len(good_policy))))
    damaged = good_policy[:start] + data.draw(st.text(TOML_LIKE, max_size=12)) + good_policy[end:]
    refusal: PolicyError | None = None
    try:
        read(damaged)
    except PolicyError as error:
        refusal = error
    if refusal is not None:
        assert 1 <= refusal.line <= damaged.count("\n") + 1
        assert refusal.message
        assert refusal.remedy


def test_every_line_left_out_is_refused_or_changes_the_policy(good_policy: str) -> None:
    lines = good_policy.splitlines(keepends=True)
    policy = read(good_policy)
    for number, line in enumerate(lines):
        if not line.strip():
            continue
        try:
            shorter = read("".join(lines[:number] + lines[number + 1 :]))
        except PolicyError:
            continue
        assert (shorter.sites, shorter.classes) != (policy.sites, policy.classes), line
