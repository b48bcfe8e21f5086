// SPDX-License-Identifier: Apache-2.0
// How a message's C++ structure maps to the wire: one FieldLayout per field, one Layout per
// structure, constant tables written by generate.py from schema/*.msg. codec.cc interprets them, so
// that encoding, decoding, sizes, JSON and test values exist once, in a few hundred lines, for all
// 360 structures.
//
// Invariants: `fields` stand in wire order, `tagged` by tag; `offset` is the member's place in the
// structure; a field whose shape is optional or optional_array is a std::optional in C++.
// Only the generated tables and the codec need this header.
// pure
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

namespace ottla::protocol {

enum class Kind : uint8_t {
    boolean,
    int8,
    int16,
    uint16,
    int32,
    uint32,
    int64,
    float64,
    uuid,
    string,
    bytes,     // Buffer
    gathered,  // Chain: records that leave without a copy
    structure,
};
enum class Shape : uint8_t { single, optional, array, optional_array };

struct VersionRange {
    int16_t first;
    int16_t last;
    [[nodiscard]] constexpr bool contains(int16_t version) const {
        return first <= version && version <= last;
    }
};
inline constexpr VersionRange kNoVersions{0, -1};

/// What the interpreter must know of std::vector<S> and std::optional of an S it cannot name.
struct StructureOps {
    struct Elements {
        const std::byte* first;
        size_t count;
    };
    void (*reserve)(void* vector, size_t count);
    void (*clear)(void* vector);
    void* (*append)(void* vector);
    Elements (*elements)(const void* vector);
    void* (*open)(void* optional);  // engages it anew
    void (*reset)(void* optional);
    const void* (*peek)(const void* optional);  // null when it holds nothing
};

struct Layout;

struct FieldLayout {
    uint32_t offset;
    Kind kind;
    Shape shape;
    bool classic;       // classic lengths in every version (RequestHeader's client id)
    bool default_null;  // otherwise what may be null is empty by default
    VersionRange versions;
    VersionRange nullable;
    int32_t tag;  // -1: none
    const Layout* structure;
    const StructureOps* ops;
    int64_t default_number;
    std::string_view default_text;
    std::string_view name;  // as Kafka's JSON spells it
};

struct Layout {
    std::string_view name;
    size_t size;
    VersionRange versions;
    int16_t first_flexible;
    std::span<const FieldLayout> fields;
    std::span<const FieldLayout> tagged;
};

template <class S>
struct ArrayOps {
    using Vector = std::vector<S>;
    static void reserve(void* vector, size_t count) {
        static_cast<Vector*>(vector)->reserve(count);
    }
    static void clear(void* vector) { static_cast<Vector*>(vector)->clear(); }
    static void* append(void* vector) { return &static_cast<Vector*>(vector)->emplace_back(); }
    static StructureOps::Elements elements(const void* vector) {
        const auto& all = *static_cast<const Vector*>(vector);
        return {reinterpret_cast<const std::byte*>(all.data()), all.size()};
    }
};
template <class T>
struct OptionalOps {
    static void* open(void* optional) {
        return &static_cast<std::optional<T>*>(optional)->emplace();
    }
    static void reset(void* optional) { static_cast<std::optional<T>*>(optional)->reset(); }
    static const void* peek(const void* optional) {
        const auto& held = *static_cast<const std::optional<T>*>(optional);
        return held ? &*held : nullptr;
    }
};

template <class S>
inline constexpr StructureOps kArray{ArrayOps<S>::reserve,
                                     ArrayOps<S>::clear,
                                     ArrayOps<S>::append,
                                     ArrayOps<S>::elements,
                                     nullptr,
                                     nullptr,
                                     nullptr};
template <class S>
inline constexpr StructureOps kOptionalArray{ArrayOps<S>::reserve,
                                             ArrayOps<S>::clear,
                                             ArrayOps<S>::append,
                                             ArrayOps<S>::elements,
                                             OptionalOps<std::vector<S>>::open,
                                             OptionalOps<std::vector<S>>::reset,
                                             OptionalOps<std::vector<S>>::peek};
template <class S>
inline constexpr StructureOps kOptional{nullptr,
                                        nullptr,
                                        nullptr,
                                        nullptr,
                                        OptionalOps<S>::open,
                                        OptionalOps<S>::reset,
                                        OptionalOps<S>::peek};

}  // namespace ottla::protocol
