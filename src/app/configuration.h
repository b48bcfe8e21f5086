// SPDX-License-Identifier: Apache-2.0
// Turns what an operator wrote into Settings: a YAML file or a Kafka `server.properties`, `KAFKA_*`
// environment variables as Kafka's official image names them, and `--override key=value`.
//
// Unknown keys give a warning that names the nearest known one and are otherwise ignored; a value
// that does not fit is an error in one sentence that says where it stands. Later sources win: file,
// environment, command line. YAML may nest (`log: {retention: {ms: 1}}`) or use Kafka's dotted
// names; a sequence is a list. The parsers are pure functions of their text. pure
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ottla/result.h"
#include "ottla/settings.h"

namespace ottla::app {

using KeyValues = std::vector<std::pair<std::string, std::string>>;

/// Java's .properties: '#' and '!' comments, '=', ':' or blank between key and value, '\' joins
/// lines and escapes. A later key wins over an earlier one.
Result<KeyValues> parse_properties(std::string_view text);
/// Maps of scalars, sequences and maps. Errors carry the line.
Result<KeyValues> parse_yaml(const std::string& text);
/// KAFKA_LOG_DIRS -> log.dirs; `_` is a dot, `__` an underscore, `___` a dash. Other variables, and
/// those that steer the official image's JVM (KAFKA_HEAP_OPTS, KAFKA_JMX_PORT, ...), are left out.
KeyValues from_environment(const std::map<std::string, std::string>& environment);
/// "key=value"; invalid_argument otherwise.
Result<std::pair<std::string, std::string>> parse_override(std::string_view text);

struct Configured {
    Settings settings;
    std::vector<std::string> warnings;
};

/// What the sources say, in order of strength. `file_name` is for messages; empty without a file,
/// and its ending decides the format: .yaml and .yml, anything else is properties.
struct Sources {
    std::string file_name;
    std::string file_text;
    std::map<std::string, std::string> environment;
    std::vector<std::string> overrides;
};
Result<Configured> configure(const Sources& sources);

}  // namespace ottla::app
