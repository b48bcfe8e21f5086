// SPDX-License-Identifier: Apache-2.0
// The rows behind ottla/settings.h, split over files by name.
// pure
#pragma once

#include "ottla/settings.h"

namespace ottla::setting_tables {

inline constexpr std::optional<std::string_view> kUnset = std::nullopt;
inline constexpr bool kDynamic = true;
inline constexpr bool kStatic = false;

std::span<const Setting> broker_a();
std::span<const Setting> broker_l();
std::span<const Setting> topic();
std::span<const TopicSynonyms> synonyms();

}  // namespace ottla::setting_tables
