// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "protocol/metadata.h"
#include "protocol/produce.h"
#include "records/records.h"
#include "tests/sim/workload_client.h"

namespace ottla::sim {

namespace {

constexpr size_t kCrcAt = 17;  ///< of a batch; it covers everything behind itself
constexpr int16_t kMetadataVersion = 9;
constexpr int16_t kProduceVersion = 7;

/// A client that no broker wants: garbage, torn frames, questions whose answers it never reads,
/// damaged batches. It never holds anything up, and nothing of what it sends is stored.
class VandalProgram final : public WorkloadClient {
public:
    VandalProgram(ClusterWorld& world, Process& process)
        : WorkloadClient(world, process), transport_(process.ports(0).transport) {
        runtime_.spawn(run());
    }

private:
    Task<> run() {
        while (goes_on() && world_.clients_running != 0) {
            if (random_.below(3) == 0) {
                co_await send_damaged_batch();
            } else {
                co_await abuse_connection();
            }
            co_await back_off();
        }
    }

    Task<> abuse_connection() {
        const Endpoint broker{.host = kBrokerHost, .port = kBrokerPort};
        auto stream = co_await transport_.connect(broker, deadline());
        if (!stream) co_return;
        auto write = (*stream)->write(nonsense());
        static_cast<void>(co_await with_deadline(runtime_, write, deadline()));
        if (random_.below(2) == 0) co_await back_off();
        (*stream)->close();
    }

    Chain nonsense() {
        switch (random_.below(4)) {
            case 0: return Chain(Buffer::copy_of(noise()));
            case 1: return Chain(Buffer::copy_of("\x7f\xff\xff\xff" + noise()));
            case 2: return torn_frame();
            default: return unread_questions();
        }
    }
    std::string noise() {
        std::string bytes(random_.between(1, 300), '\0');
        for (char& byte : bytes) byte = static_cast<char>(random_.below(256));
        return bytes;
    }
    static Chain question(int32_t id) {
        return protocol::request_frame(id, "vandal", kMetadataVersion, protocol::MetadataRequest{});
    }
    /// The beginning of a request whose rest never comes, or with a wrong byte in it.
    Chain torn_frame() {
        std::string bytes(question(1).flatten().text());
        const uint64_t at = random_.below(bytes.size());
        if (random_.below(2) == 0) {
            bytes.resize(at + 1);
        } else {
            bytes[at] = static_cast<char>(random_.below(256));
        }
        return Chain(Buffer::copy_of(bytes));
    }
    Chain unread_questions() {
        Chain all;
        const auto count = static_cast<int32_t>(random_.between(1, 200));
        for (int32_t id = 0; id < count; ++id) all.append(question(id));
        return all;
    }

    Task<> send_damaged_batch() {
        const Instant until = deadline();
        auto connection = co_await client_.any(until);
        if (!connection) co_return;
        protocol::ProduceRequest request;
        request.acks = -1;
        request.timeout_ms = 1000;
        auto& data = request.topic_data.emplace_back();
        data.name = topic_of_producer(0);
        data.partition_data.push_back({.index = 0, .records = damaged_batch()});
        const auto answer =
            co_await (*connection)->call(std::move(request), until, kProduceVersion);
        if (!answer || answer->responses.empty()) co_return;
        const auto& parts = answer->responses[0].partition_responses;
        if (parts.size() == 1 && parts[0].error_code == 0) {
            world_.history.fail("a damaged batch was acknowledged");
        }
    }
    Buffer damaged_batch() {
        BatchBuilder builder(codecs_, {});
        const std::string value = noise();
        builder.append(runtime_.wall_time(), std::nullopt, as_bytes(value));
        const Result<Buffer> whole = builder.finish();
        CHECK(whole.has_value(), "a plain batch is always built");
        std::string bytes(whole->text());
        const uint64_t at = random_.between(kCrcAt, bytes.size() - 1);
        const uint64_t bit = random_.below(8);
        bytes[at] = static_cast<char>(static_cast<unsigned char>(bytes[at]) ^ (1U << bit));
        return Buffer::copy_of(bytes);
    }

    Transport& transport_;
    Codecs codecs_;
};

}  // namespace

void start_vandal(ClusterWorld& world) {
    world.world.add_machine("vandal").add_process("vandal", 1).start([&world](Process& process) {
        return std::make_unique<VandalProgram>(world, process);
    });
}

}  // namespace ottla::sim
