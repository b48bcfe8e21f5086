// SPDX-License-Identifier: Apache-2.0
// The version table: one row per live API, written by the generator from schema/*.msg.
// `max_version` is the last *stable* version; a codec may know one more (InitProducerId 6).
// Header versions follow from it: a flexible request has header 2, a flexible response header 1,
// and the response of ApiVersions always has header 0 (KIP-511), or no client could read a refusal.
// pure
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "protocol/api_key.h"

namespace ottla::protocol {

struct ApiRow {
    ApiKey key;
    std::string_view name;
    int16_t min_version;
    int16_t max_version;
    int16_t first_flexible;  // 32767: never
    bool on_broker;          // served on broker listeners
    bool on_controller;
};

/// All 91 rows by key.
std::span<const ApiRow> all_apis();
/// Null for a key that no API has.
const ApiRow* find_api(int16_t key);
/// The API exists and has this stable version.
bool is_supported(int16_t key, int16_t version);

int16_t request_header_version(const ApiRow& api, int16_t version);
int16_t response_header_version(const ApiRow& api, int16_t version);

}  // namespace ottla::protocol
