// SPDX-License-Identifier: Apache-2.0
#include "protocol/codec.h"

#include <algorithm>
#include <bit>
#include <bitset>
#include <concepts>
#include <utility>

#include <fmt/format.h>

#include "protocol/field_access.h"

namespace ottla::protocol {
namespace {

Lengths lengths_of(int16_t version, const Layout& layout) {
    return version >= layout.first_flexible ? Lengths::compact : Lengths::classic;
}

constexpr size_t kMostTaggedFields = 64;  // the generator refuses more

/// Counts what a Writer would write; same verbs.
class SizeCounter {
public:
    void boolean(bool) { size_ += 1; }
    void int8(int8_t) { size_ += 1; }
    void int16(int16_t) { size_ += 2; }
    void uint16(uint16_t) { size_ += 2; }
    void int32(int32_t) { size_ += 4; }
    void uint32(uint32_t) { size_ += 4; }
    void int64(int64_t) { size_ += 8; }
    void float64(double) { size_ += 8; }
    void uuid(const Uuid&) { size_ += 16; }
    void unsigned_varint(uint32_t value) { size_ += unsigned_varint_size(value); }
    void string(std::string_view text, Lengths lengths) {
        const size_t size = clipped(text).size();
        size_ += size + prefix(size, lengths, 2);
    }
    void null_string(Lengths lengths) { size_ += lengths == Lengths::compact ? 1 : 2; }
    template <class B>
    void bytes(const B& bytes, Lengths lengths) {
        size_ += bytes.size() + prefix(bytes.size(), lengths, 4);
    }
    void null_bytes(Lengths lengths) { size_ += lengths == Lengths::compact ? 1 : 4; }
    void null_array(Lengths lengths) { null_bytes(lengths); }
    void array_size(size_t count, Lengths lengths) { size_ += prefix(count, lengths, 4); }
    [[nodiscard]] size_t size() const { return size_; }

private:
    static size_t prefix(size_t size, Lengths lengths, size_t classic) {
        return lengths == Lengths::compact ? unsigned_varint_size(static_cast<uint32_t>(size + 1))
                                           : classic;
    }
    size_t size_ = 0;
};

template <class Sink>
class Encoder {
public:
    Encoder(Sink& out, int16_t version, Lengths lengths)
        : out_(out), version_(version), lengths_(lengths) {}

    void structure(const Layout& layout, const void* message) {
        for (const FieldLayout& field : layout.fields) {
            if (field.versions.contains(version_)) this->field(field, place(field, message));
        }
        if (lengths_ == Lengths::compact) tags(layout, message);
    }

    void field(const FieldLayout& field, const void* at) {
        const Lengths lengths = field.classic ? Lengths::classic : lengths_;
        switch (field.shape) {
            case Shape::single:
                if (field.kind == Kind::structure) return structure(*field.structure, at);
                return visit_kind(field.kind, [&]<class T>() { value(member<T>(at), lengths); });
            case Shape::optional:
                if (field.kind == Kind::structure) return optional_structure(field, at);
                return visit_kind(field.kind, [&]<class T>() {
                    optional(member<std::optional<T>>(at), field, lengths);
                });
            case Shape::array:
                if (field.kind == Kind::structure) return structures(field, at);
                return visit_kind(field.kind, [&]<class T>() { array<T>(at, lengths); });
            case Shape::optional_array: return optional_array(field, at, lengths);
        }
    }

private:
    void value(bool v, Lengths) { out_.boolean(v); }
    void value(int8_t v, Lengths) { out_.int8(v); }
    void value(int16_t v, Lengths) { out_.int16(v); }
    void value(uint16_t v, Lengths) { out_.uint16(v); }
    void value(int32_t v, Lengths) { out_.int32(v); }
    void value(uint32_t v, Lengths) { out_.uint32(v); }
    void value(int64_t v, Lengths) { out_.int64(v); }
    void value(double v, Lengths) { out_.float64(v); }
    void value(const Uuid& v, Lengths) { out_.uuid(v); }
    void value(const std::string& v, Lengths lengths) { out_.string(v, lengths); }
    void value(const Buffer& v, Lengths lengths) { out_.bytes(v, lengths); }
    void value(const Chain& v, Lengths lengths) { out_.bytes(v, lengths); }

    template <class T>
    void optional(const std::optional<T>& held, const FieldLayout& field, Lengths lengths) {
        if (held) return value(*held, lengths);
        if (!field.nullable.contains(version_)) return value(T{}, lengths);
        if constexpr (std::same_as<T, std::string>) {
            out_.null_string(lengths);
        } else {
            out_.null_bytes(lengths);
        }
    }

    void optional_structure(const FieldLayout& field, const void* at) {
        const void* held = field.ops->peek(at);
        // Kafka's generator writes null as -1 among the fields and as 0 among the tags.
        out_.int8(held != nullptr ? 1 : field.tag >= 0 ? 0 : -1);
        if (held != nullptr) structure(*field.structure, held);
    }

    void structures(const FieldLayout& field, const void* vector) {
        const auto [first, count] = field.ops->elements(vector);
        out_.array_size(count, lengths_);
        for (size_t i = 0; i < count; ++i) {
            structure(*field.structure, first + i * field.structure->size);
        }
    }

    template <class T>
    void array(const void* vector, Lengths lengths) {
        if constexpr (kMayRepeat<T>) {
            const auto& all = member<std::vector<T>>(vector);
            out_.array_size(all.size(), lengths);
            for (const T& one : all) value(one, lengths);
        }
    }

    void optional_array(const FieldLayout& field, const void* at, Lengths lengths) {
        if (field.kind == Kind::structure) {
            const void* held = field.ops->peek(at);
            if (held != nullptr) return structures(field, held);
        } else {
            bool engaged = false;
            visit_kind(field.kind, [&]<class T>() {
                const auto& held = member<std::optional<std::vector<T>>>(at);
                engaged = held.has_value();
                if (engaged) array<T>(&*held, lengths);
            });
            if (engaged) return;
        }
        if (field.nullable.contains(version_)) {
            out_.null_array(lengths);
        } else {
            out_.array_size(0, lengths);
        }
    }

    void tags(const Layout& layout, const void* message) {
        std::bitset<kMostTaggedFields> present;
        for (size_t i = 0; i < layout.tagged.size(); ++i) {
            const FieldLayout& field = layout.tagged[i];
            present[i] =
                field.versions.contains(version_) && !is_default(field, place(field, message));
        }
        out_.unsigned_varint(static_cast<uint32_t>(present.count()));
        for (size_t i = 0; i < layout.tagged.size(); ++i) {
            if (!present[i]) continue;
            const FieldLayout& field = layout.tagged[i];
            SizeCounter counter;
            Encoder<SizeCounter>(counter, version_, lengths_).field(field, place(field, message));
            out_.unsigned_varint(static_cast<uint32_t>(field.tag));
            out_.unsigned_varint(static_cast<uint32_t>(counter.size()));
            this->field(field, place(field, message));
        }
    }

    Sink& out_;
    int16_t version_;
    Lengths lengths_;
};

/// The fewest bytes a structure can take: holds an array's count against what is left.
size_t least_size(const Layout& layout, int16_t version, Lengths lengths) {
    const bool compact = lengths == Lengths::compact;
    size_t size = compact ? 1 : 0;
    for (const FieldLayout& field : layout.fields) {
        if (!field.versions.contains(version)) continue;
        if (field.shape == Shape::array || field.shape == Shape::optional_array ||
            field.kind == Kind::bytes || field.kind == Kind::gathered) {
            size += compact ? 1 : 4;
        } else if (field.kind == Kind::structure) {
            size +=
                field.shape == Shape::optional ? 1 : least_size(*field.structure, version, lengths);
        } else if (field.kind == Kind::string) {
            size += compact && !field.classic ? 1 : 2;
        } else {
            size += visit_kind(field.kind, []<class T>() { return sizeof(T); });
        }
    }
    return size;
}

class Decoder {
public:
    Decoder(Reader& in, int16_t version, Lengths lengths)
        : in_(in),
          version_(version),
          lengths_(lengths),
          budget_(kDecodedFloor + kDecodedPerByte * in.remaining()) {}

    void structure(const Layout& layout, void* message) {
        for (const FieldLayout& field : layout.fields) {
            if (!field.versions.contains(version_)) continue;
            this->field(field, place(field, message));
            if (!in_.ok()) [[unlikely]]
                return locate(layout, field);
        }
        if (lengths_ == Lengths::compact) tags(layout, message);
    }

private:
    void locate(const Layout& layout, const FieldLayout& field) {
        in_.locate(fmt::format("{}.{}", layout.name, field.name));
    }

    void field(const FieldLayout& field, void* at) {
        const Lengths lengths = field.classic ? Lengths::classic : lengths_;
        switch (field.shape) {
            case Shape::single:
                if (field.kind == Kind::structure) return structure(*field.structure, at);
                return visit_kind(field.kind, [&]<class T>() { value(member<T>(at), lengths); });
            case Shape::optional: return optional(field, at, lengths);
            case Shape::array: {
                const size_t count = in_.array_size(lengths);
                if (field.kind == Kind::structure) field.ops->clear(at);
                return elements(field, at, count, lengths);
            }
            case Shape::optional_array: return optional_array(field, at, lengths);
        }
    }

    void value(bool& v, Lengths) { v = in_.boolean(); }
    void value(int8_t& v, Lengths) { v = in_.int8(); }
    void value(int16_t& v, Lengths) { v = in_.int16(); }
    void value(uint16_t& v, Lengths) { v = in_.uint16(); }
    void value(int32_t& v, Lengths) { v = in_.int32(); }
    void value(uint32_t& v, Lengths) { v = in_.uint32(); }
    void value(int64_t& v, Lengths) { v = in_.int64(); }
    void value(double& v, Lengths) { v = in_.float64(); }
    void value(Uuid& v, Lengths) { v = in_.uuid(); }
    void value(std::string& v, Lengths lengths) { v = in_.string(lengths); }
    void value(Buffer& v, Lengths lengths) { v = in_.bytes(lengths); }
    void value(Chain& v, Lengths lengths) { v = Chain{in_.bytes(lengths)}; }

    void optional(const FieldLayout& field, void* at, Lengths lengths) {
        if (!field.nullable.contains(version_)) {
            if (field.kind == Kind::structure) {
                return structure(*field.structure, field.ops->open(at));
            }
            return visit_kind(field.kind, [&]<class T>() {
                value(member<std::optional<T>>(at).emplace(), lengths);
            });
        }
        switch (field.kind) {
            case Kind::structure:
                field.ops->reset(at);
                if (in_.int8() >= (field.tag >= 0 ? 1 : 0) && in_.ok()) {
                    structure(*field.structure, field.ops->open(at));
                }
                return;
            case Kind::string: {
                auto& held = member<std::optional<std::string>>(at);
                held.reset();
                if (const auto text = in_.nullable_string(lengths)) held.emplace(*text);
                return;
            }
            case Kind::bytes:
                member<std::optional<Buffer>>(at) = in_.nullable_bytes(lengths);
                return;
            case Kind::gathered: {
                auto& held = member<std::optional<Chain>>(at);
                held.reset();
                if (auto bytes = in_.nullable_bytes(lengths)) held.emplace(*std::move(bytes));
                return;
            }
            default: CHECK(false, "the generator allows no other nullable kind");
        }
    }

    void optional_array(const FieldLayout& field, void* at, Lengths lengths) {
        const auto count = in_.nullable_array_size(lengths);
        if (!count) {
            if (!field.nullable.contains(version_)) in_.fail("an array is null that must not be");
            return reset(field, at);
        }
        if (field.kind == Kind::structure) {
            return elements(field, field.ops->open(at), *count, lengths);
        }
        visit_kind(field.kind, [&]<class T>() {
            elements(field, &member<std::optional<std::vector<T>>>(at).emplace(), *count, lengths);
        });
    }

    static void reset(const FieldLayout& field, void* at) {
        if (field.kind == Kind::structure) return field.ops->reset(at);
        visit_kind(field.kind,
                   [&]<class T>() { member<std::optional<std::vector<T>>>(at).reset(); });
    }

    void elements(const FieldLayout& field, void* vector, size_t count, Lengths lengths) {
        if (field.kind == Kind::structure) {
            const Layout& layout = *field.structure;
            if (count > kMaxInitialReserve &&
                count * least_size(layout, version_, lengths_) > in_.remaining()) {
                return in_.fail("an array has more elements than the bytes left can hold");
            }
            if (!charge(count * layout.size)) return;
            field.ops->reserve(vector, std::min(count, kMaxInitialReserve));
            for (size_t i = 0; i < count && in_.ok(); ++i) {
                structure(layout, field.ops->append(vector));
            }
            return;
        }
        visit_kind(field.kind, [&]<class T>() {
            if constexpr (kMayRepeat<T>) {
                if (!charge(count * sizeof(T))) return;
                auto& all = member<std::vector<T>>(vector);
                all.clear();
                all.reserve(std::min(count, kMaxInitialReserve));
                for (size_t i = 0; i < count && in_.ok(); ++i) value(all.emplace_back(), lengths);
            }
        });
    }

    bool charge(size_t bytes) {
        if (bytes > budget_) {
            in_.fail("the arrays take more memory than a message of this size may");
            return false;
        }
        budget_ -= bytes;
        return true;
    }

    void tags(const Layout& layout, void* message) {
        for (size_t left = in_.tag_count(); left > 0 && in_.ok(); --left) {
            const uint32_t tag = in_.unsigned_varint();
            const uint32_t size = in_.unsigned_varint();
            const auto field = std::ranges::find_if(
                layout.tagged, [&](const auto& known) { return std::cmp_equal(known.tag, tag); });
            if (field == layout.tagged.end() || !field->versions.contains(version_)) {
                in_.skip(size);
                continue;
            }
            if (size > in_.remaining()) in_.fail("a tag is larger than the bytes left");
            const size_t end = in_.position() + size;
            if (in_.ok()) this->field(*field, place(*field, message));
            if (in_.ok() && in_.position() != end) in_.fail("a tag's size is not its value's");
            if (!in_.ok()) return locate(layout, *field);
        }
        if (!in_.ok()) in_.locate(layout.name);
    }

    Reader& in_;
    int16_t version_;
    Lengths lengths_;
    size_t budget_;  // bytes of array elements that may still be made
};

bool all_default(const Layout& layout, const void* message) {
    auto plain = [&](const FieldLayout& field) { return is_default(field, place(field, message)); };
    return std::ranges::all_of(layout.fields, plain) && std::ranges::all_of(layout.tagged, plain);
}

/// A structure, or an array of them.
bool is_default_structure(const FieldLayout& field, const void* at) {
    if (field.shape == Shape::optional || field.shape == Shape::optional_array) {
        at = field.ops->peek(at);
        if (at == nullptr || field.default_null) return (at == nullptr) == field.default_null;
    }
    if (field.shape == Shape::array || field.shape == Shape::optional_array) {
        return field.ops->elements(at).count == 0;
    }
    return all_default(*field.structure, at);
}

template <class T>
bool is_default_value(const FieldLayout& field, const T& value) {
    if constexpr (std::same_as<T, std::string>) {
        return value == field.default_text;
    } else if constexpr (std::same_as<T, Uuid>) {
        return value.is_zero();
    } else if constexpr (std::same_as<T, Buffer> || std::same_as<T, Chain>) {
        return value.empty();
    } else if constexpr (std::same_as<T, double>) {
        return std::bit_cast<int64_t>(value) == 0;
    } else {
        return static_cast<int64_t>(value) == field.default_number;
    }
}

}  // namespace

bool is_default(const FieldLayout& field, const void* at) {
    if (field.kind == Kind::structure) return is_default_structure(field, at);
    return visit_kind(field.kind, [&]<class T>() -> bool {
        switch (field.shape) {
            case Shape::array: return member<std::vector<T>>(at).empty();
            case Shape::single: return is_default_value(field, member<T>(at));
            case Shape::optional: {
                const auto& held = member<std::optional<T>>(at);
                return field.default_null ? !held : held && is_default_value(field, *held);
            }
            case Shape::optional_array: {
                const auto& held = member<std::optional<std::vector<T>>>(at);
                return field.default_null ? !held : held && held->empty();
            }
        }
        CHECK(false, "every shape is handled");
    });
}

Status decode_message(Reader& in, int16_t version, const Layout& layout, void* message) {
    if (!layout.versions.contains(version)) {
        return fail(ErrorCode::unsupported_version,
                    fmt::format("{} has no version {}", layout.name, version));
    }
    Decoder(in, version, lengths_of(version, layout)).structure(layout, message);
    return in.status();
}

void encode_message(Writer& out, int16_t version, const Layout& layout, const void* message) {
    CHECK(layout.versions.contains(version), "the caller negotiated a version that exists");
    Encoder<Writer>(out, version, lengths_of(version, layout)).structure(layout, message);
}

size_t message_size(int16_t version, const Layout& layout, const void* message) {
    CHECK(layout.versions.contains(version), "the caller negotiated a version that exists");
    SizeCounter counter;
    Encoder<SizeCounter>(counter, version, lengths_of(version, layout)).structure(layout, message);
    return counter.size();
}

}  // namespace ottla::protocol
