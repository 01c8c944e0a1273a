"""Why somebody looks at a record: the codes of the glossary's viewing purposes (REQUIREMENTS, section 1.9)."""

from enum import StrEnum


class ViewPurpose(StrEnum):
    """A viewing purpose; asked each time."""

    CASE_PROCESSING = "case_processing"
    INQUIRY_ANSWER = "inquiry_answer"
    INCIDENT_INVESTIGATION = "incident_investigation"
    ACCESS_REVIEW = "access_review"
    CITY_AUDIT = "city_audit"
    DISCLOSURE = "disclosure"
    RESTORE_TEST = "restore_test"
    INVESTIGATION_INQUIRY = "investigation_inquiry"
    COMPLAINT = "complaint"
    CALL_QUALITY = "call_quality"
