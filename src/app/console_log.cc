// SPDX-License-Identifier: Apache-2.0
// The one place that includes spdlog.
#include "app/console_log.h"

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

namespace ottla::app {

namespace {

spdlog::level::level_enum level_of(LogLevel level) {
    switch (level) {
        case LogLevel::debug: return spdlog::level::debug;
        case LogLevel::info: return spdlog::level::info;
        case LogLevel::warning: return spdlog::level::warn;
        case LogLevel::error: return spdlog::level::err;
    }
    return spdlog::level::err;
}

class ConsoleLog final : public Logger {
public:
    ConsoleLog() : log_("ottla", std::make_shared<spdlog::sinks::stderr_sink_mt>()) {
        log_.set_pattern("%Y-%m-%dT%H:%M:%S.%eZ %L %v", spdlog::pattern_time_type::utc);
        log_.flush_on(spdlog::level::info);
    }
    void write(LogLevel level, std::string_view line) override {
        log_.log(level_of(level), spdlog::string_view_t(line.data(), line.size()));
    }

private:
    spdlog::logger log_;
};

}  // namespace

std::unique_ptr<Logger> make_console_log() { return std::make_unique<ConsoleLog>(); }

}  // namespace ottla::app
