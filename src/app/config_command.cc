// SPDX-License-Identifier: Apache-2.0
// ottla config document: prints docs/CONFIG.md from the one table of settings.
#include "app/cli.h"
#include "app/usage.h"
#include "ottla/settings.h"

namespace ottla::app {

int config_command(Arguments arguments) {
    const std::string verb = arguments.word().value_or("");
    const Status finished = arguments.finish();
    if (!finished) return complain(finished.error());
    if (verb != "document") {
        return complain({ErrorCode::invalid_argument, std::string(kConfigUsage)});
    }
    print(settings_document());
    return 0;
}

}  // namespace ottla::app
