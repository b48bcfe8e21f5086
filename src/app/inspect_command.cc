// SPDX-License-Identifier: Apache-2.0
// ottla inspect message: reads lines `request|response <api key> <version> <hex of the body>` and
// prints for each the bytes encoded again, its fields (--output json), or `error: ...`.
//
// ottla inspect [KIND] FILE|FOLDER...: prints files of a log directory, of a broker that is stopped
// or running; the kind of each is told from its name if it is not said. What is wrong with a file
// comes after its rows, on stderr, and makes the exit code 1.
#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <iostream>
#include <system_error>

#include "app/cli.h"
#include "app/inspect/file_source.h"
#include "app/inspect/printers.h"
#include "app/usage.h"
#include "protocol/inspect.h"
#include "storage/file_names.h"

namespace ottla::app {

namespace {

/// Longer lines are answered with an error and skipped: a body of 128 MiB is more than any broker
/// takes.
constexpr size_t kMaxLine = size_t{256} * 1024 * 1024;

/// One line without its end; false at the end of the input. `whole` tells whether it fitted.
bool read_line(std::streambuf& in, std::string& line, bool& whole) {
    line.clear();
    whole = true;
    int c = in.sbumpc();
    if (c == std::streambuf::traits_type::eof()) return false;
    for (; c != std::streambuf::traits_type::eof() && c != '\n'; c = in.sbumpc()) {
        if (line.size() < kMaxLine) {
            line.push_back(static_cast<char>(c));
        } else {
            whole = false;
        }
    }
    if (line.ends_with('\r')) line.pop_back();
    return true;
}

int inspect_messages(OutputFormat format) {
    std::ios::sync_with_stdio(false);
    std::string line;
    bool whole = true;
    while (read_line(*std::cin.rdbuf(), line, whole)) {
        print(whole ? protocol::inspect_line(line, format == OutputFormat::json)
                    : std::string("error: the line is too long"));
        print("\n");
    }
    return 0;
}

/// stdout keeps its buffer: a segment has millions of rows.
class StandardOut final : public TextOut {
public:
    void write(std::string_view text) override { std::fwrite(text.data(), 1, text.size(), stdout); }
};

struct Inspection {
    std::optional<FileKind> kind;
    OutputFormat format = OutputFormat::table;
    InspectOptions options;
    bool several = false;
};

Status inspect_file(const Inspection& how, const std::string& path) {
    auto kind = how.kind ? how.kind : file_kind_of(path);
    if (!kind) {
        return fail(ErrorCode::not_found,
                    path + ": its name does not tell what it is; say so: ottla inspect KIND FILE");
    }
    // The two kinds of snapshot are easily confused.
    if (kind == FileKind::snapshot && file_kind_of(path) == FileKind::metadata) {
        kind = FileKind::metadata;
    }
    TRY(const auto source, FileSource::open(path));
    StandardOut out;
    if (how.several && how.format == OutputFormat::table) {
        out.write(fmt::format("==> {} ({}) <==\n", path, name_of(*kind)));
    }
    Report report(path, how.format, out);
    print_file(*kind, *source, how.options, report);
    std::fflush(stdout);
    const std::string verdict = report.verdict();
    std::fwrite(verdict.data(), 1, verdict.size(), stderr);
    if (!report.is_intact()) return fail(ErrorCode::corrupt);
    return {};
}

std::string_view folder_kind(std::string_view name) {
    if (name == storage::kGuardFolder) return "guard";
    const auto log = storage::parse_log_directory(name);
    if (!log) return "folder";
    switch (log->kind) {
        case storage::LogDirectoryKind::log: return "log";
        case storage::LogDirectoryKind::deleted: return "log (deleted)";
        case storage::LogDirectoryKind::future: return "log (future)";
        case storage::LogDirectoryKind::stray: return "log (stray)";
    }
    return "folder";
}

/// The entries of a folder, by name: what each is and how large.
Status list_folder(const Inspection& how, const std::string& path) {
    namespace fs = std::filesystem;
    static constexpr std::array kColumns = {Column{"name", 40}, Column{"kind", 14}, Column{"size"}};
    std::vector<fs::directory_entry> entries;
    std::error_code error;
    for (fs::directory_iterator at(path, error), end; !error && at != end; at.increment(error)) {
        entries.push_back(*at);
    }
    if (error) return fail(ErrorCode::io_error, path + ": " + error.message());
    std::ranges::sort(entries, {}, [](const fs::directory_entry& e) { return e.path().string(); });
    StandardOut out;
    if (how.several && how.format == OutputFormat::table) out.write("==> " + path + " <==\n");
    Report report(path, how.format, out);
    report.begin(kColumns);
    for (const fs::directory_entry& entry : entries) {
        const std::string name = entry.path().filename().string();
        if (entry.is_directory(error)) {
            report.row({name, std::string(folder_kind(name)), std::monostate{}});
            continue;
        }
        const auto kind = file_kind_of(entry.path().string());
        const uint64_t size = entry.file_size(error);
        report.row({name, kind ? Cell{std::string(name_of(*kind))} : nothing(),
                    error ? nothing() : number_cell(size)});
    }
    return {};
}

int inspect_paths(const Inspection& how, const std::vector<std::string>& paths) {
    int code = 0;
    for (const std::string& path : paths) {
        std::error_code error;
        const bool folder = !how.kind && std::filesystem::is_directory(path, error);
        const Status done = folder ? list_folder(how, path) : inspect_file(how, path);
        std::fflush(stdout);
        if (done) continue;
        code = 1;
        // Damage was already told, with its place.
        if (!done.error().detail.empty()) complain(done.error());
    }
    if (std::ferror(stdout) != 0) return complain({ErrorCode::io_error, "stdout is not writable"});
    return code;
}

}  // namespace

int inspect_command(Arguments arguments) {
    Inspection how;
    const auto text = arguments.option_or("--output", "table");
    if (!text) return complain(text.error());
    const auto format = parse_output_format(*text);
    if (!format) return complain(format.error());
    how.format = *format;
    how.options.records = arguments.flag("--records");
    how.options.entries = arguments.flag("--entries");
    std::vector<std::string> words;
    while (auto word = arguments.word()) words.push_back(*std::move(word));
    const Status finished = arguments.finish();
    if (!finished) return complain(finished.error());
    if (words.size() == 1 && words.front() == "message") return inspect_messages(how.format);
    if (!words.empty()) how.kind = parse_file_kind(words.front());
    if (how.kind) words.erase(words.begin());
    if (words.empty()) return complain({ErrorCode::invalid_argument, std::string(kInspectUsage)});
    how.several = words.size() > 1;
    return inspect_paths(how, words);
}

}  // namespace ottla::app
