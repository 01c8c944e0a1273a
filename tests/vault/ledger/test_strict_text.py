import pytest
from hypothesis import given
from hypothesis import strategies as st

from vault.ledger.strict_text import decode_base64, encode_base64, parse_decimal


@given(st.binary(max_size=70))
def test_base64_is_read_back(data: bytes) -> None:
    assert decode_base64(encode_base64(data)) == data


@pytest.mark.parametrize(
    "text", ["YQ", "YQ=", "YQ===", "YR==", "YWJ=", " YQ==", "YQ==\n", "Y Q==", "_-8=", "YQ==YQ==", "YQ==Y", "é", "="]
)
def test_base64_in_another_form_is_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - the formats above turn every ValueError into their own error
        decode_base64(text)


@pytest.mark.parametrize("number", [0, 1, 9, 10, 70_000, 2**63 - 1])
def test_decimals_are_read_back(number: int) -> None:
    assert parse_decimal(str(number)) == number


@pytest.mark.parametrize(
    "text",
    [
        "",
        "00",
        "01",
        "+1",
        "-1",
        "-0",
        " 1",
        "1 ",
        "1\n",
        "1_0",
        "1.0",
        "0x1",
        "\uff11",
        "٣",
        "²",
        str(2**63),
        "9" * 5000,
    ],
)
def test_decimals_in_another_form_are_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - as above
        parse_decimal(text)
