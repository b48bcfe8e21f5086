// SPDX-License-Identifier: Apache-2.0
// From a field's table row to its typed C++ member: what the codec, the JSON printer and the tests'
// filler share. `visit_kind` calls a template with the element's C++ type; `member` casts.
// Only for files that interpret layouts.
// pure
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "ottla/buffer.h"
#include "ottla/check.h"
#include "ottla/types.h"
#include "protocol/layout.h"

namespace ottla::protocol {

template <class T>
const T& member(const void* at) {
    return *static_cast<const T*>(at);
}
template <class T>
T& member(void* at) {
    return *static_cast<T*>(at);
}
inline const void* place(const FieldLayout& field, const void* message) {
    return static_cast<const std::byte*>(message) + field.offset;
}
inline void* place(const FieldLayout& field, void* message) {
    return static_cast<std::byte*>(message) + field.offset;
}

/// Calls `visitor.operator()<T>()` with the C++ type of one element; not for structures.
template <class Visitor>
decltype(auto) visit_kind(Kind kind, Visitor&& visitor) {
    switch (kind) {
        case Kind::boolean: return visitor.template operator()<bool>();
        case Kind::int8: return visitor.template operator()<int8_t>();
        case Kind::int16: return visitor.template operator()<int16_t>();
        case Kind::uint16: return visitor.template operator()<uint16_t>();
        case Kind::int32: return visitor.template operator()<int32_t>();
        case Kind::uint32: return visitor.template operator()<uint32_t>();
        case Kind::int64: return visitor.template operator()<int64_t>();
        case Kind::float64: return visitor.template operator()<double>();
        case Kind::uuid: return visitor.template operator()<Uuid>();
        case Kind::string: return visitor.template operator()<std::string>();
        case Kind::bytes: return visitor.template operator()<Buffer>();
        case Kind::gathered: return visitor.template operator()<Chain>();
        case Kind::structure: break;
    }
    CHECK(false, "a structure has no scalar type");
}

/// Which element types may stand in an array; the generator refuses the others.
template <class T>
inline constexpr bool kMayRepeat = !std::is_same_v<T, bool> && !std::is_same_v<T, Chain>;

/// A field of the version that equals its default is left out of the tag section.
bool is_default(const FieldLayout& field, const void* at);

}  // namespace ottla::protocol
