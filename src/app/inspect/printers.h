// SPDX-License-Identifier: Apache-2.0
// The printers of `ottla inspect`, one for each kind of file (docs/FORMATS.md draws them): bytes in,
// rows and damage out. Each is total: whatever the bytes are, it says what is intact, reports the
// rest and returns. None of them trusts a number before it has been compared with what is there.
// The report's file name matters only where Kafka keeps information in it: the base offset of a
// segment's files, which of the text formats a checkpoint is.
// pure
#pragma once

#include <string_view>

#include "app/inspect/file_kind.h"
#include "app/inspect/report.h"
#include "app/inspect/source.h"

namespace ottla::app {

struct InspectOptions {
    bool records = false;  ///< segment: a row for each record instead of each batch
    bool entries = false;  ///< journal, catalogue: a row for each entry instead of each group or log
};

void print_segment(Source& source, const InspectOptions& options, Report& report);
void print_metadata(Source& source, Report& report);
void print_offset_index(Source& source, Report& report);
void print_time_index(Source& source, Report& report);
void print_transaction_index(Source& source, Report& report);
void print_journal(Source& source, const InspectOptions& options, Report& report);
void print_producer_snapshot(Source& source, Report& report);
void print_checkpoint(Source& source, const InspectOptions& options, Report& report);
/// Of one that print_checkpoint has read.
void print_catalogue(std::string_view bytes, const InspectOptions& options, Report& report);
void print_quorum_state(Source& source, Report& report);
void print_sums(Source& source, Report& report);

void print_file(FileKind kind, Source& source, const InspectOptions& options, Report& report);

}  // namespace ottla::app
