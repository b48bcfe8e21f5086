// SPDX-License-Identifier: Apache-2.0
// Keys and values of the coordinators' topics (`__consumer_offsets`, `__transaction_state`,
// `__share_group_state`): an int16 and then the body.
//
//     key    int16 record type | body, always version 0
//     value  int16 version     | body
// A tombstone has no value at all. Errors: malformed, or unsupported_version for a newer value.
// pure
#pragma once

#include "protocol/codec.h"

namespace ottla::protocol {

template <Message K>
Buffer encode_record_key(const K& key) {
    Writer out{encoded_size(0, key) + 2};
    out.int16(K::kRecordType);
    encode(out, 0, key);
    return out.finish().flatten();
}

template <Message V>
Buffer encode_record_value(int16_t version, const V& value) {
    Writer out{encoded_size(version, value) + 2};
    out.int16(version);
    encode(out, version, value);
    return out.finish().flatten();
}

/// The type that a key begins with.
inline Result<int16_t> record_type(const Buffer& key) {
    Reader in{key};
    const int16_t type = in.int16();
    TRY_STATUS(in.status());
    return type;
}

template <Message K>
Result<K> decode_record_key(Buffer key) {
    Reader in{std::move(key)};
    if (in.int16() != K::kRecordType) in.fail("a record key of another type");
    K decoded;
    TRY_STATUS(decode(in, 0, decoded));
    TRY_STATUS(in.finished());
    return decoded;
}

template <Message V>
struct VersionedValue {
    V value;
    int16_t version;
};

template <Message V>
Result<VersionedValue<V>> decode_record_value(Buffer value) {
    Reader in{std::move(value)};
    const int16_t version = in.int16();
    TRY_STATUS(in.status());
    VersionedValue<V> decoded{{}, version};
    TRY_STATUS(decode(in, version, decoded.value));
    TRY_STATUS(in.finished());
    return decoded;
}

}  // namespace ottla::protocol
