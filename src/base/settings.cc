// SPDX-License-Identifier: Apache-2.0
#include "ottla/settings.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <limits>

#include "base/setting_tables.h"
#include "ottla/check.h"

namespace ottla {

namespace {

std::vector<Setting> all_broker_rows() {
    std::vector<Setting> rows;
    for (const Setting& row : setting_tables::broker_a()) rows.push_back(row);
    for (const Setting& row : setting_tables::broker_l()) rows.push_back(row);
    std::ranges::sort(rows, {}, &Setting::name);
    return rows;
}

template <class Rows>
const Setting* find_row(const Rows& rows, std::string_view name) {
    const auto found = std::ranges::lower_bound(rows, name, {}, &Setting::name);
    return found != std::end(rows) && found->name == name ? &*found : nullptr;
}

template <class T>
std::optional<T> parse_number(std::string_view text) {
    T value{};
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
    return value;
}

std::string_view trimmed(std::string_view text) {
    const size_t first = text.find_first_not_of(" \t\r\n");
    if (first == std::string_view::npos) return {};
    return text.substr(first, text.find_last_not_of(" \t\r\n") - first + 1);
}

/// Whether `value` fits one alternative of the bounds: a word, or a range "min..max" for numbers.
bool fits(std::string_view alternative, std::string_view value) {
    const size_t dots = alternative.find("..");
    if (dots == std::string_view::npos) return alternative == value;
    const auto number = parse_number<double>(value);
    const auto low = parse_number<double>(alternative.substr(0, dots));
    const auto high = parse_number<double>(alternative.substr(dots + 2));
    return number && (!low || *number >= *low) && (!high || *number <= *high);
}

bool fits_any(std::string_view bounds, std::string_view value) {
    if (bounds.empty()) return true;
    while (true) {
        const size_t bar = bounds.find('|');
        if (fits(bounds.substr(0, bar), value)) return true;
        if (bar == std::string_view::npos) return false;
        bounds.remove_prefix(bar + 1);
    }
}

bool has_type(SettingType type, std::string_view value) {
    switch (type) {
        case SettingType::boolean: return value == "true" || value == "false";
        case SettingType::int16: return parse_number<int16_t>(value).has_value();
        case SettingType::int32: return parse_number<int32_t>(value).has_value();
        case SettingType::int64: return parse_number<int64_t>(value).has_value();
        case SettingType::float64: return parse_number<double>(value).has_value();
        default: return true;
    }
}

std::string_view name_of_type(SettingType type) {
    switch (type) {
        case SettingType::boolean: return "true or false";
        case SettingType::int16: return "a 16-bit number";
        case SettingType::int32: return "a 32-bit number";
        case SettingType::int64: return "a 64-bit number";
        case SettingType::float64: return "a number";
        default: return "text";
    }
}

/// Edit distance, for naming the setting that was probably meant.
size_t distance(std::string_view a, std::string_view b) {
    std::vector<size_t> row(b.size() + 1);
    for (size_t j = 0; j <= b.size(); ++j) row[j] = j;
    for (size_t i = 1; i <= a.size(); ++i) {
        size_t diagonal = std::exchange(row[0], i);
        for (size_t j = 1; j <= b.size(); ++j) {
            const size_t replaced = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
            diagonal = row[j];
            row[j] = std::min({row[j] + 1, row[j - 1] + 1, replaced});
        }
    }
    return row.back();
}

/// Milliseconds in one unit of a broker setting that stands behind a `.ms` topic setting.
int64_t milliseconds_per_unit(std::string_view broker_setting) {
    if (broker_setting.ends_with(".hours")) return 3'600'000;
    if (broker_setting.ends_with(".minutes")) return 60'000;
    return 1;
}

}  // namespace

const std::vector<Setting>& broker_settings() {
    static const std::vector<Setting> rows = all_broker_rows();
    return rows;
}

std::span<const Setting> topic_settings() { return setting_tables::topic(); }

const Setting* find_broker_setting(std::string_view name) {
    return find_row(broker_settings(), name);
}

const Setting* find_topic_setting(std::string_view name) {
    return find_row(topic_settings(), name);
}

std::span<const std::string_view> broker_synonyms(std::string_view topic_setting) {
    for (const TopicSynonyms& row : setting_tables::synonyms()) {
        if (row.topic_setting == topic_setting) return row.broker_settings;
    }
    return {};
}

Status check_value(const Setting& setting, std::string_view value) {
    if (!has_type(setting.type, value)) {
        return fail(ErrorCode::invalid_config, fmt::format("{}={}: must be {}", setting.name, value,
                                                           name_of_type(setting.type)));
    }
    const auto bad = [&setting](std::string_view item) {
        return fail(ErrorCode::invalid_config,
                    fmt::format("{}={}: must be within {}", setting.name, item, setting.bounds));
    };
    if (setting.type != SettingType::list)
        return fits_any(setting.bounds, value) ? Status() : bad(value);
    for (const std::string& item : split_list(value)) {
        if (!fits_any(setting.bounds, item)) return bad(item);
    }
    return {};
}

Status check_topic_setting(std::string_view name, std::string_view value) {
    const Setting* setting = find_topic_setting(name);
    if (setting == nullptr) {
        return fail(ErrorCode::invalid_config, fmt::format("Unknown topic config name: {}", name));
    }
    return check_value(*setting, value);
}

std::string_view nearest_broker_setting(std::string_view name) {
    if (name.size() > 200) return {};
    std::string_view best;
    size_t best_distance = std::max<size_t>(2, name.size() / 3) + 1;
    for (const Setting& row : broker_settings()) {
        const size_t d = distance(name, row.name);
        if (d < best_distance) {
            best_distance = d;
            best = row.name;
        }
    }
    return best;
}

std::vector<std::string> split_list(std::string_view text) {
    std::vector<std::string> items;
    while (!text.empty()) {
        const size_t comma = text.find(',');
        const std::string_view item = trimmed(text.substr(0, comma));
        if (!item.empty()) items.emplace_back(item);
        if (comma == std::string_view::npos) break;
        text.remove_prefix(comma + 1);
    }
    return items;
}

Status Settings::set(std::string_view name, std::string_view value, Source source) {
    const Setting* setting = find_broker_setting(name);
    if (setting == nullptr)
        return fail(ErrorCode::not_found, fmt::format("unknown setting {}", name));
    const std::string_view text = trimmed(value);
    TRY_STATUS(check_value(*setting, text));
    const auto found = values_.find(name);
    if (found != values_.end() && found->second.source > source) return {};
    values_.insert_or_assign(std::string(name), Value{std::string(text), source});
    return {};
}

std::optional<std::string> Settings::find(std::string_view name) const {
    const auto found = values_.find(name);
    if (found != values_.end()) return found->second.text;
    const Setting* setting = find_broker_setting(name);
    CHECK(setting != nullptr, "only settings of the table are read");
    if (!setting->default_value) return std::nullopt;
    return std::string(*setting->default_value);
}

Settings::Source Settings::source(std::string_view name) const {
    const auto found = values_.find(name);
    return found == values_.end() ? Source::default_value : found->second.source;
}

std::string Settings::text(std::string_view name) const {
    auto value = find(name);
    CHECK(value.has_value(), "the setting has a value");
    return *std::move(value);
}

int64_t Settings::number(std::string_view name) const {
    const auto value = parse_number<int64_t>(text(name));
    CHECK(value.has_value(), "checked when it was set");
    return *value;
}

bool Settings::flag(std::string_view name) const { return text(name) == "true"; }

std::vector<std::string> Settings::list(std::string_view name) const {
    return split_list(find(name).value_or(""));
}

std::optional<std::string_view> Settings::topic_default_source(
    std::string_view topic_setting) const {
    for (const std::string_view synonym : broker_synonyms(topic_setting)) {
        if (is_set(synonym)) return synonym;
    }
    return std::nullopt;
}

std::optional<std::string> Settings::topic_default(std::string_view topic_setting) const {
    const Setting* setting = find_topic_setting(topic_setting);
    CHECK(setting != nullptr, "only settings of the table are read");
    if (const auto synonym = topic_default_source(topic_setting)) {
        const std::string value = text(*synonym);
        const int64_t unit = milliseconds_per_unit(*synonym);
        if (unit == 1) return value;
        const int64_t count = parse_number<int64_t>(value).value_or(0);
        if (count > std::numeric_limits<int64_t>::max() / unit) {
            return std::to_string(std::numeric_limits<int64_t>::max());
        }
        return std::to_string(count < 0 ? -1 : count * unit);
    }
    if (!setting->default_value) return std::nullopt;
    return std::string(*setting->default_value);
}

std::string topic_text(const Settings& settings,
                       const TopicOverrides& overrides,
                       std::string_view name) {
    const auto found = overrides.find(name);
    if (found != overrides.end()) return found->second;
    return settings.topic_default(name).value_or("");
}

int64_t topic_number(const Settings& settings,
                     const TopicOverrides& overrides,
                     std::string_view name) {
    const auto value = parse_number<int64_t>(topic_text(settings, overrides, name));
    CHECK(value.has_value(), "checked when it was set");
    return *value;
}

bool topic_flag(const Settings& settings, const TopicOverrides& overrides, std::string_view name) {
    return topic_text(settings, overrides, name) == "true";
}

Status check_topic_overrides(const Settings& settings, const TopicOverrides& overrides) {
    const int64_t least = topic_number(settings, overrides, "min.compaction.lag.ms");
    const int64_t most = topic_number(settings, overrides, "max.compaction.lag.ms");
    if (least <= most) return {};
    return fail(ErrorCode::invalid_config,
                fmt::format("conflict topic config setting min.compaction.lag.ms ({}) > "
                            "max.compaction.lag.ms ({})",
                            least, most));
}

namespace {

std::string shown_default(const Setting& row) {
    if (!row.default_value) return "unset";
    return row.default_value->empty() ? "empty" : fmt::format("`{}`", *row.default_value);
}

template <class Rows>
void describe_rows(const Rows& rows, std::string& out) {
    out += "| setting | default | allowed | what it does |\n|---|---|---|---|\n";
    std::string later;
    std::string moot;
    for (const Setting& row : rows) {
        if (!row.moot.empty()) {
            moot += fmt::format("| `{}` | {} |\n", row.name, row.moot);
            continue;
        }
        if (!row.honoured()) {
            later += fmt::format("{}`{}`", later.empty() ? "" : ", ", row.name);
            continue;
        }
        std::string bounds(row.bounds);
        for (size_t at = 0; (at = bounds.find('|', at)) != std::string::npos; at += 4) {
            bounds.replace(at, 1, " or ");
        }
        out += fmt::format("| `{}` | {} | {} | {} |\n", row.name, shown_default(row), bounds,
                           row.prose);
    }
    out += fmt::format("\n| accepted, reported, needed for nothing | why |\n|---|---|\n{}", moot);
    out += fmt::format(
        "\nAccepted and reported with Kafka's defaults, but without effect yet: {}.\n", later);
}

}  // namespace

std::string settings_document() {
    std::string out =
        "# Settings\n\n"
        "Generated by `ottla config document` from the one table in `src/base/settings_*.cc`; a "
        "test "
        "holds this page against it.\nNames and defaults are Kafka's. A file (YAML or "
        "`server.properties`) is read first, then `KAFKA_*` variables,\nthen `--override "
        "key=value`; the "
        "later one wins.\n\n## Broker\n\n";
    describe_rows(broker_settings(), out);
    out += "\n## Topic\n\n";
    describe_rows(topic_settings(), out);
    return out;
}

}  // namespace ottla
