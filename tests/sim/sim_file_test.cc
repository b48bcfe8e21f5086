// SPDX-License-Identifier: Apache-2.0
// The simulated disk as an ordinary file system (tests/sim/file_contract.h).
#include "tests/sim/file_contract.h"
#include "tests/sim/machine.h"

namespace ottla::test {
namespace {

class SimHarness {
public:
    FileSystem& files() { return bench_.files(); }
    std::string directory() { return "/data"; }
    template <class T>
    T run(Task<T> task) {
        return bench_.run(std::move(task));
    }

private:
    sim::Bench bench_{7};
};

INSTANTIATE_TYPED_TEST_SUITE_P(Simulated, FileContract, SimHarness);

}  // namespace
}  // namespace ottla::test
