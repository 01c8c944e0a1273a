"""Tink's own implementation of the object stream, to hold ours against."""

from typing import cast

from tink import cleartext_keyset_handle, streaming_aead
from tink.proto import aes_gcm_hkdf_streaming_pb2, common_pb2, tink_pb2
from tink.streaming_aead import StreamingAead


def tink_primitive(key_value: bytes, segment_bytes: int = 1 << 20) -> StreamingAead:
    """AES256_GCM_HKDF under `key_value`, without Tink's own prefix."""
    streaming_aead.register()
    key = aes_gcm_hkdf_streaming_pb2.AesGcmHkdfStreamingKey(version=0, key_value=key_value)
    key.params.ciphertext_segment_size = segment_bytes
    key.params.derived_key_size = 32
    key.params.hkdf_hash_type = common_pb2.SHA256
    data = tink_pb2.KeyData(
        type_url="type.googleapis.com/google.crypto.tink.AesGcmHkdfStreamingKey",
        value=key.SerializeToString(),
        key_material_type=tink_pb2.KeyData.SYMMETRIC,
    )
    keyset = tink_pb2.Keyset(primary_key_id=1)
    keyset.key.add(key_data=data, status=tink_pb2.ENABLED, key_id=1, output_prefix_type=tink_pb2.RAW)
    handle = cleartext_keyset_handle.from_keyset(keyset)
    return cast("StreamingAead", handle.primitive(StreamingAead))
