// SPDX-License-Identifier: Apache-2.0
// Reads and writes every generated message, at every version. A message M is a plain struct with
// `M::layout()`; these templates only pass its address and table to the interpreter in codec.cc.
//
//   Status decode(Reader&, version, M&)    from where the reader stands; bytes may follow
//   Result<M> decode<M>(Buffer, version)   a whole body; bytes left over are an error
//   void encode(Writer&, version, const M&)
//   Chain encode(version, const M&)
//   size_t encoded_size(version, const M&)
//   std::string to_json(version, const M&) names and values as Kafka's own converters print them
//
// Rules: a field that the version does not have is default after decoding and ignored in encoding;
// a null that the version cannot express is written as empty; unknown tags are skipped and dropped.
// Decoding makes at most 1 MiB and 8 bytes per byte of input in array elements: 900,000 empty
// strings in 900 KB are an attack, no message.
// Errors: malformed, or unsupported_version when no such codec exists. Encoding cannot fail; a
// version without a codec is a programmer's error there.
// pure
#pragma once

#include <cstdint>
#include <string>

#include "ottla/buffer.h"
#include "ottla/result.h"
#include "protocol/wire.h"

namespace ottla::protocol {

struct Layout;

/// What array elements may take in memory: a floor, and a factor of the input.
inline constexpr size_t kDecodedFloor = size_t{1} << 20;
inline constexpr size_t kDecodedPerByte = 8;

/// The interpreter. `message` is a default-constructed structure of that layout.
Status decode_message(Reader& in, int16_t version, const Layout& layout, void* message);
void encode_message(Writer& out, int16_t version, const Layout& layout, const void* message);
size_t message_size(int16_t version, const Layout& layout, const void* message);
std::string message_json(int16_t version, const Layout& layout, const void* message);

template <class M>
concept Message = requires { M::layout(); };
template <class M>
concept RequestMessage = Message<M> && requires { typename M::Response; };
template <class M>
concept ResponseMessage = Message<M> && requires { typename M::Request; };

template <Message M>
Status decode(Reader& in, int16_t version, M& message) {
    message = M{};
    return decode_message(in, version, M::layout(), &message);
}

template <Message M>
Result<M> decode(Buffer body, int16_t version) {
    Reader in{std::move(body)};
    M message;
    TRY_STATUS(decode_message(in, version, M::layout(), &message));
    TRY_STATUS(in.finished());
    return message;
}

template <Message M>
void encode(Writer& out, int16_t version, const M& message) {
    encode_message(out, version, M::layout(), &message);
}

template <Message M>
Chain encode(int16_t version, const M& message) {
    Writer out;
    encode_message(out, version, M::layout(), &message);
    return out.finish();
}

template <Message M>
size_t encoded_size(int16_t version, const M& message) {
    return message_size(version, M::layout(), &message);
}

template <Message M>
std::string to_json(int16_t version, const M& message) {
    return message_json(version, M::layout(), &message);
}

}  // namespace ottla::protocol
