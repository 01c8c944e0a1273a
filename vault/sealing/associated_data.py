"""What binds a sealed object to its record, component and version; leaves out the sealing itself (`stream.py`)."""

_LABEL = "kura-object-v1"


def object_associated_data(contract: str, record_id: str, component: str, version: int) -> bytes:
    """Give the associated data of one sealed object.

    An object or a data key put in another's place then never opens. The disposal day is left out on purpose: it may
    change while the object stays as it is.

    Encoding: the label `kura-object-v1`, the contract, the record id and the component, each in UTF-8 after its
    length in bytes as uint32 big endian; then the version as uint32 big endian. Length prefixes make it unambiguous:
    no two different sets of arguments give the same bytes.

    Args:
        contract: the contract's id.
        record_id: the record's id.
        component: the component's name within the record, such as `scan` or `thumbnail`.
        version: version of the component, 0 <= version < 2**32.

    Source: RFC 5869, section 3.2 (use of `info` to bind a key to its application).
    """
    fields = [text.encode() for text in (_LABEL, contract, record_id, component)]
    prefixed = b"".join(len(field).to_bytes(4, "big") + field for field in fields)
    return prefixed + version.to_bytes(4, "big")
