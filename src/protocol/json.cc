// SPDX-License-Identifier: Apache-2.0
// Messages as JSON, in one line, the way Kafka's converters print them: names in camelCase,
// identifiers and bytes in base64, fields of the version only, tagged fields only when they are not
// default.
#include <algorithm>
#include <vector>

#include <fmt/format.h>

#include "protocol/codec.h"
#include "protocol/field_access.h"

namespace ottla::protocol {
namespace {

constexpr std::string_view kUrlSafe =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
constexpr std::string_view kPlain =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void append_base64(std::string& out,
                   std::span<const std::byte> bytes,
                   std::string_view letters,
                   bool padded) {
    for (size_t i = 0; i < bytes.size(); i += 3) {
        const size_t count = std::min<size_t>(3, bytes.size() - i);
        uint32_t group = 0;
        for (size_t k = 0; k < 3; ++k) {
            group = group << 8 | (k < count ? std::to_integer<uint32_t>(bytes[i + k]) : 0);
        }
        for (size_t k = 0; k <= count; ++k) out += letters[group >> (18 - 6 * k) & 63];
        if (padded) out.append(3 - count, '=');
    }
}

/// Length of the well-formed UTF-8 sequence at the front, or 0.
size_t sequence_length(std::string_view text) {
    const auto lead = static_cast<unsigned char>(text[0]);
    const size_t size = lead < 0x80       ? 1
                        : lead >> 5 == 6  ? 2
                        : lead >> 4 == 14 ? 3
                        : lead >> 3 == 30 ? 4
                                          : 0;
    if (size == 0 || size > text.size()) return 0;
    uint32_t point = size == 1 ? lead : lead & (0x7fU >> size);
    for (size_t i = 1; i < size; ++i) {
        const auto next = static_cast<unsigned char>(text[i]);
        if ((next & 0xc0) != 0x80) return 0;
        point = point << 6 | (next & 0x3f);
    }
    constexpr uint32_t kLeast[] = {0, 0, 0x80, 0x800, 0x10000};
    const bool surrogate = point >= 0xd800 && point <= 0xdfff;
    return point < kLeast[size] || point > 0x10ffff || surrogate ? 0 : size;
}

void append_text(std::string& out, std::string_view text) {
    out += '"';
    while (!text.empty()) {
        const size_t size = sequence_length(text);
        const char c = text[0];
        if (size == 0) {
            out += "\\ufffd";
        } else if (c == '"' || c == '\\') {
            out += '\\';
            out += c;
        } else if (static_cast<unsigned char>(c) < 0x20) {
            fmt::format_to(std::back_inserter(out), "\\u{:04x}", static_cast<unsigned char>(c));
        } else {
            out += text.substr(0, size);
        }
        text.remove_prefix(size == 0 ? 1 : size);
    }
    out += '"';
}

class Printer {
public:
    explicit Printer(int16_t version) : version_(version) {}

    void structure(const Layout& layout, const void* message) {
        std::vector<const FieldLayout*> shown;
        for (const FieldLayout& field : layout.fields) {
            if (field.versions.contains(version_)) shown.push_back(&field);
        }
        for (const FieldLayout& field : layout.tagged) {
            if (field.versions.contains(version_) && !is_default(field, place(field, message))) {
                shown.push_back(&field);
            }
        }
        // The schema's order, as the members stand in the structure.
        std::ranges::sort(shown, {}, &FieldLayout::offset);
        out_ += '{';
        for (const FieldLayout* field : shown) {
            if (field != shown.front()) out_ += ',';
            out_ += '"';
            out_ += field->name;
            out_ += "\":";
            this->field(*field, place(*field, message));
        }
        out_ += '}';
    }

    std::string take() { return std::move(out_); }

private:
    void value(bool v) { out_ += v ? "true" : "false"; }
    template <class T>
        requires std::is_arithmetic_v<T>
    void value(T v) {
        fmt::format_to(std::back_inserter(out_), "{}", v);
    }
    void value(double v) {
        if (v - v == 0) {
            fmt::format_to(std::back_inserter(out_), "{}", v);
        } else {
            append_text(out_, fmt::format("{}", v));  // JSON has no NaN and no infinity
        }
    }
    void value(const Uuid& v) {
        out_ += '"';
        append_base64(out_, std::as_bytes(std::span(v.bytes)), kUrlSafe, false);
        out_ += '"';
    }
    void value(const std::string& v) { append_text(out_, v); }
    void value(const Buffer& v) {
        out_ += '"';
        append_base64(out_, v.span(), kPlain, true);
        out_ += '"';
    }
    void value(const Chain& v) { value(v.flatten()); }

    void field(const FieldLayout& field, const void* at) {
        if (field.kind == Kind::structure) return structures(field, at);
        visit_kind(field.kind, [&]<class T>() {
            switch (field.shape) {
                case Shape::single: return value(member<T>(at));
                case Shape::optional: {
                    const auto& held = member<std::optional<T>>(at);
                    return held ? value(*held) : null();
                }
                case Shape::array: return array(member<std::vector<T>>(at));
                case Shape::optional_array: {
                    const auto& held = member<std::optional<std::vector<T>>>(at);
                    return held ? array(*held) : null();
                }
            }
        });
    }

    void structures(const FieldLayout& field, const void* at) {
        if (field.shape == Shape::optional || field.shape == Shape::optional_array) {
            at = field.ops->peek(at);
            if (at == nullptr) return null();
        }
        if (field.shape == Shape::single || field.shape == Shape::optional) {
            return structure(*field.structure, at);
        }
        const auto [first, count] = field.ops->elements(at);
        out_ += '[';
        for (size_t i = 0; i < count; ++i) {
            if (i != 0) out_ += ',';
            structure(*field.structure, first + i * field.structure->size);
        }
        out_ += ']';
    }

    template <class T>
    void array(const std::vector<T>& all) {
        if constexpr (kMayRepeat<T>) {
            out_ += '[';
            for (size_t i = 0; i < all.size(); ++i) {
                if (i != 0) out_ += ',';
                value(all[i]);
            }
            out_ += ']';
        }
    }

    void null() { out_ += "null"; }

    std::string out_;
    int16_t version_;
};

}  // namespace

std::string message_json(int16_t version, const Layout& layout, const void* message) {
    Printer printer{version};
    printer.structure(layout, message);
    return printer.take();
}

}  // namespace ottla::protocol
