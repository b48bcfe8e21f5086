// SPDX-License-Identifier: Apache-2.0
#include "storage/journal_format.h"

#include <fmt/format.h>

#include <array>
#include <cstring>

#include "base/crc32c.h"
#include "base/endian.h"
#include "ottla/check.h"

namespace ottla::storage {
namespace {

constexpr uint64_t kMagic = 0x4f54544c414a3031;  // "OTTLAJ01"
constexpr size_t kCrcCoversFrom = 12;

uint32_t crc_of(std::span<const std::byte> group, uint64_t file_sequence) {
    std::array<std::byte, 8> seed{};
    store_be(seed.data(), file_sequence);
    return crc32c(crc32c(0, seed), group.subspan(kCrcCoversFrom));
}

/// Reads numbers off the front of a body; `ok` turns false when it is too short.
struct BodyReader {
    std::span<const std::byte> rest;
    bool ok = true;

    std::span<const std::byte> take(size_t bytes) {
        if (bytes > rest.size()) {
            ok = false;
            rest = {};
            return {};
        }
        const auto taken = rest.first(bytes);
        rest = rest.subspan(bytes);
        return taken;
    }
    template <class T>
    T number() {
        const auto bytes = take(sizeof(T));
        return ok ? load_be<T>(bytes.data()) : T{};
    }
    std::string text() {
        const auto bytes = take(number<uint16_t>());
        return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
    }
};

void put(std::string& out, std::integral auto value) {
    std::array<std::byte, sizeof value> bytes{};
    store_be(bytes.data(), value);
    out.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
}

void put_text(std::string& out, std::string_view text) {
    put(out, static_cast<uint16_t>(text.size()));
    out.append(text);
}

}  // namespace

uint32_t seal_group(std::span<std::byte> group, const GroupHeader& header) {
    std::byte* at = group.data();
    std::memset(at, 0, kGroupHeaderBytes);
    store_be(at, kMagic);
    store_be(at + 12, static_cast<uint32_t>(group.size() - kGroupHeaderBytes));
    store_be(at + 16, header.journal_id);
    store_be(at + 24, header.file_sequence);
    store_be(at + 32, header.sequence);
    store_be(at + 40, header.previous_crc);
    store_be(at + 44, header.shard);
    store_be(at + 48, header.oldest_needed);
    std::memcpy(at + 56, header.directory_id.bytes.data(), 16);
    store_be(at + 72, header.files);
    const uint32_t crc = crc_of(group, header.file_sequence);
    store_be(at + 8, crc);
    return crc;
}

std::optional<GroupHeader> read_group_header(std::span<const std::byte> bytes) {
    if (bytes.size() < kGroupHeaderBytes || load_be<uint64_t>(bytes.data()) != kMagic) {
        return std::nullopt;
    }
    const std::byte* at = bytes.data();
    GroupHeader header;
    header.crc = load_be<uint32_t>(at + 8);
    header.payload_bytes = load_be<uint32_t>(at + 12);
    header.journal_id = load_be<uint64_t>(at + 16);
    header.file_sequence = load_be<uint64_t>(at + 24);
    header.sequence = load_be<uint64_t>(at + 32);
    header.previous_crc = load_be<uint32_t>(at + 40);
    header.shard = load_be<uint32_t>(at + 44);
    header.oldest_needed = load_be<uint64_t>(at + 48);
    std::memcpy(header.directory_id.bytes.data(), at + 56, 16);
    header.files = load_be<uint32_t>(at + 72);
    return header;
}

bool group_is_intact(std::span<const std::byte> group, const GroupHeader& header) {
    return group.size() == kGroupHeaderBytes + header.payload_bytes &&
           crc_of(group, header.file_sequence) == header.crc;
}

std::string encode_entry(const JournalEntry& entry) {
    std::string body;
    switch (entry.kind) {
        case EntryKind::declare:
            body.append(reinterpret_cast<const char*>(entry.topic_id.bytes.data()), 16);
            put(body, entry.log.partition.value());
            put_text(body, entry.log.topic);
            put_text(body, entry.directory_name);
            break;
        case EntryKind::create:
        case EntryKind::roll:
        case EntryKind::replaced:
        case EntryKind::log_start: put(body, entry.offset.value()); break;
        case EntryKind::truncate:
            put(body, entry.offset.value());
            put(body, entry.segment_base.value());
            put(body, entry.position);
            put(body, uint32_t{0});
            break;
        case EntryKind::rename: put_text(body, entry.directory_name); break;
        case EntryKind::erase:
        case EntryKind::erased: break;
        case EntryKind::append: CHECK(false, "appends are written in place");
    }
    std::string out;
    put(out, static_cast<uint8_t>(entry.kind));
    out.append(3, '\0');
    put(out, static_cast<uint32_t>(body.size()));
    put(out, entry.instance);
    return out + body;
}

void write_append_header(std::span<std::byte, kAppendHeaderBytes> at,
                         uint64_t instance,
                         Offset segment_base,
                         uint64_t position,
                         size_t batch_bytes) {
    std::memset(at.data(), 0, at.size());
    store_be(at.data(), static_cast<uint8_t>(EntryKind::append));
    store_be(at.data() + 4, static_cast<uint32_t>(batch_bytes + 16));
    store_be(at.data() + 8, instance);
    store_be(at.data() + 16, segment_base.value());
    store_be(at.data() + 24, static_cast<uint32_t>(position));
}

Result<std::optional<JournalEntry>> EntryCursor::next() {
    if (rest_.empty()) return std::nullopt;
    BodyReader head{rest_};
    JournalEntry entry;
    entry.kind = static_cast<EntryKind>(head.number<uint8_t>());
    head.take(3);
    const auto body_bytes = head.number<uint32_t>();
    entry.instance = head.number<uint64_t>();
    BodyReader body{head.take(body_bytes)};
    if (!head.ok) return fail(ErrorCode::corrupt, "a journal entry is longer than its group");
    rest_ = head.rest;
    switch (entry.kind) {
        case EntryKind::declare: {
            const auto id = body.take(16);
            if (body.ok) std::memcpy(entry.topic_id.bytes.data(), id.data(), 16);
            entry.log.partition = PartitionIndex{body.number<int32_t>()};
            entry.log.topic = body.text();
            entry.directory_name = body.text();
            break;
        }
        case EntryKind::create:
        case EntryKind::roll:
        case EntryKind::replaced:
        case EntryKind::log_start: entry.offset = Offset{body.number<int64_t>()}; break;
        case EntryKind::truncate: entry.offset = Offset{body.number<int64_t>()}; [[fallthrough]];
        case EntryKind::append:
            entry.segment_base = Offset{body.number<int64_t>()};
            entry.position = body.number<uint32_t>();
            body.take(4);
            if (entry.kind == EntryKind::append) entry.batch = body.rest;
            break;
        case EntryKind::rename: entry.directory_name = body.text(); break;
        case EntryKind::erase:
        case EntryKind::erased: break;
        default:
            return fail(ErrorCode::corrupt, fmt::format("a journal entry of unknown kind {}",
                                                        static_cast<int>(entry.kind)));
    }
    if (!body.ok) return fail(ErrorCode::corrupt, "a journal entry is too short for its kind");
    return entry;
}

}  // namespace ottla::storage
