// SPDX-License-Identifier: Apache-2.0
#include "app/inspect/printers.h"

namespace ottla::app {

void print_file(FileKind kind, Source& source, const InspectOptions& options, Report& report) {
    switch (kind) {
        case FileKind::segment: return print_segment(source, options, report);
        case FileKind::index: return print_offset_index(source, report);
        case FileKind::timeindex: return print_time_index(source, report);
        case FileKind::txnindex: return print_transaction_index(source, report);
        case FileKind::journal: return print_journal(source, options, report);
        case FileKind::snapshot: return print_producer_snapshot(source, report);
        case FileKind::checkpoint: return print_checkpoint(source, options, report);
        case FileKind::quorum_state: return print_quorum_state(source, report);
        case FileKind::metadata: return print_metadata(source, report);
        case FileKind::sums: return print_sums(source, report);
    }
}

}  // namespace ottla::app
