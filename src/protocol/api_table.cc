// SPDX-License-Identifier: Apache-2.0
#include "protocol/api_table.h"

#include <algorithm>

namespace ottla::protocol {

const ApiRow* find_api(int16_t key) {
    const auto apis = all_apis();
    const auto row = std::ranges::lower_bound(
        apis, key, {}, [](const ApiRow& api) { return static_cast<int16_t>(api.key); });
    return row != apis.end() && static_cast<int16_t>(row->key) == key ? &*row : nullptr;
}

bool is_supported(int16_t key, int16_t version) {
    const ApiRow* api = find_api(key);
    return api != nullptr && api->min_version <= version && version <= api->max_version;
}

int16_t request_header_version(const ApiRow& api, int16_t version) {
    return version >= api.first_flexible ? 2 : 1;
}

int16_t response_header_version(const ApiRow& api, int16_t version) {
    if (api.key == ApiKey::api_versions) return 0;
    return version >= api.first_flexible ? 1 : 0;
}

}  // namespace ottla::protocol
