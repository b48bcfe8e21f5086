// SPDX-License-Identifier: Apache-2.0
#include "tests/protocol/fill.h"

#include <fmt/format.h>

#include "protocol/field_access.h"

namespace ottla::protocol {
namespace {

class Filler {
public:
    explicit Filler(int16_t version) : version_(version) {}

    void structure(const Layout& layout, void* message) {
        for (const auto fields : {layout.fields, layout.tagged}) {
            for (const FieldLayout& field : fields) {
                if (field.versions.contains(version_)) this->field(field, place(field, message));
            }
        }
    }

private:
    void field(const FieldLayout& field, void* at) {
        if (field.kind == Kind::structure) return structures(field, at);
        visit_kind(field.kind, [&]<class T>() {
            switch (field.shape) {
                case Shape::single: return set(member<T>(at));
                case Shape::optional: return set(member<std::optional<T>>(at).emplace());
                case Shape::array: return array(member<std::vector<T>>(at));
                case Shape::optional_array:
                    return array(member<std::optional<std::vector<T>>>(at).emplace());
            }
        });
    }

    void structures(const FieldLayout& field, void* at) {
        if (field.shape == Shape::optional || field.shape == Shape::optional_array) {
            at = field.ops->open(at);
        }
        if (field.shape == Shape::single || field.shape == Shape::optional) {
            return structure(*field.structure, at);
        }
        structure(*field.structure, field.ops->append(at));
        structure(*field.structure, field.ops->append(at));
    }

    template <class T>
    void array(std::vector<T>& all) {
        if constexpr (kMayRepeat<T>) {
            set(all.emplace_back());
            set(all.emplace_back());
        }
    }

    void set(bool& v) { v = true; }
    template <class T>
        requires std::is_arithmetic_v<T>
    void set(T& v) {
        v = static_cast<T>(++count_ % 100 + 3);
        if constexpr (sizeof(T) == 8) v += static_cast<T>(1) * 1'000'000'000;
    }
    void set(Uuid& v) {
        v.bytes.fill(static_cast<uint8_t>(++count_));
        v.bytes[0] = 1;
    }
    void set(std::string& v) { v = fmt::format("text {}", ++count_); }
    void set(Buffer& v) { v = Buffer::copy_of(fmt::format("bytes {}", ++count_)); }
    void set(Chain& v) {
        v = Chain{Buffer::copy_of(fmt::format("chain {}", ++count_))};
        v.append(Buffer::copy_of(std::string(300, 'x')));
    }

    int16_t version_;
    uint64_t count_ = 0;
};

}  // namespace

void fill(AnyMessage& message, int16_t version) {
    Filler(version).structure(message.layout(), message.get());
}

}  // namespace ottla::protocol
