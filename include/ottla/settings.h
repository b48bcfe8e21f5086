// SPDX-License-Identifier: Apache-2.0
// One table of every setting: name, type, bounds, default, prose. Parsing, DescribeConfigs, topic
// validation and docs/CONFIG.md all come from it, so a new setting is one row
// (src/base/settings_*.cc).
//
// `Settings` is what a node was told: broker settings as text, checked when they are set, with the
// source each came from. It is a value; a broker gets a copy. Topic settings are kept with the
// topic (MetadataImage); `topic_value` resolves one: topic override, then broker synonyms, then the
// default. pure
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ottla/result.h"

namespace ottla {

/// Numbers are DescribeConfigs' own (ConfigType).
enum class SettingType : int8_t {
    boolean = 1,
    string = 2,
    int32 = 3,
    int16 = 4,
    int64 = 5,
    float64 = 6,
    list = 7,
    class_name = 8,
    password = 9,
};

struct Setting {
    std::string_view name;
    SettingType type;
    std::optional<std::string_view> default_value;  ///< nothing: unset (null in DescribeConfigs)
    /// "min..max" (either may be missing), "a|b|c" for fixed words, both joined with '|', or empty.
    std::string_view bounds;
    bool dynamic = false;    ///< may change while the broker runs (Kafka's update mode)
    std::string_view prose;  ///< one sentence; empty: accepted and reported, not honoured
    std::string_view moot{};  ///< why nothing here needs it; empty: not honoured *yet*
    [[nodiscard]] bool honoured() const { return !prose.empty(); }
};

/// A topic setting and the broker settings that give its default, strongest first.
struct TopicSynonyms {
    std::string_view topic_setting;
    std::vector<std::string_view> broker_settings;
};

/// All rows, sorted by name.
const std::vector<Setting>& broker_settings();
std::span<const Setting> topic_settings();
const Setting* find_broker_setting(std::string_view name);
const Setting* find_topic_setting(std::string_view name);
/// Empty when the topic setting has no broker setting behind it.
std::span<const std::string_view> broker_synonyms(std::string_view topic_setting);

/// invalid_config with one clear sentence when `value` does not fit the row.
Status check_value(const Setting& setting, std::string_view value);
/// A topic's overrides, as CreateTopics gives them: known names, fitting values.
Status check_topic_setting(std::string_view name, std::string_view value);
/// The known broker setting that looks most like `name`, for a warning; empty if none is near.
std::string_view nearest_broker_setting(std::string_view name);

/// Kafka's list syntax: commas, blanks around items dropped, empty text is no items.
std::vector<std::string> split_list(std::string_view text);

class Settings {
public:
    /// Where a value came from; later ones win over earlier ones.
    enum class Source : uint8_t { default_value, file, environment, command_line };

    /// Checks and keeps; invalid_config names setting, value and bounds. not_found for an unknown
    /// name: the caller warns with `nearest_broker_setting`. A weaker source never replaces a
    /// stronger one.
    Status set(std::string_view name, std::string_view value, Source source);

    /// The explicit value, else the default; nothing when unset. CHECKs that the name is in the
    /// table.
    [[nodiscard]] std::optional<std::string> find(std::string_view name) const;
    [[nodiscard]] Source source(std::string_view name) const;
    [[nodiscard]] bool is_set(std::string_view name) const { return values_.contains(name); }

    /// Typed reads of settings that always have a value.
    [[nodiscard]] std::string text(std::string_view name) const;
    [[nodiscard]] int64_t number(std::string_view name) const;
    [[nodiscard]] bool flag(std::string_view name) const;
    [[nodiscard]] std::vector<std::string> list(std::string_view name) const;

    /// What a topic setting is without an override: the strongest synonym that is set explicitly,
    /// with hours and minutes turned into milliseconds, else the default. Nothing only for unset
    /// rows.
    [[nodiscard]] std::optional<std::string> topic_default(std::string_view topic_setting) const;
    /// The broker setting that `topic_default` read, if one was set explicitly.
    [[nodiscard]] std::optional<std::string_view> topic_default_source(
        std::string_view topic_setting) const;

private:
    struct Value {
        std::string text;
        Source source;
    };
    std::map<std::string, Value, std::less<>> values_;
};

/// A topic's setting: its override or the broker's default, typed.
using TopicOverrides = std::map<std::string, std::string, std::less<>>;
std::string topic_text(const Settings& settings,
                       const TopicOverrides& overrides,
                       std::string_view name);
int64_t topic_number(const Settings& settings,
                     const TopicOverrides& overrides,
                     std::string_view name);
bool topic_flag(const Settings& settings, const TopicOverrides& overrides, std::string_view name);
/// Each of them fits its row (check_topic_setting); invalid_config when they contradict each other.
Status check_topic_overrides(const Settings& settings, const TopicOverrides& overrides);

/// docs/CONFIG.md.
std::string settings_document();

}  // namespace ottla
