// SPDX-License-Identifier: Apache-2.0
package ottla;

import java.util.Map;
import java.util.concurrent.Future;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.ListOffsetsOptions;
import org.apache.kafka.clients.admin.ListOffsetsResult.ListOffsetsResultInfo;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.IsolationLevel;
import org.apache.kafka.common.TopicPartition;

/** ListOffsets: the ends of a partition, a time, and the largest timestamp there is. */
final class OffsetChecks {
    private static final String TOPIC = "offsets";
    private static final TopicPartition FULL = new TopicPartition(TOPIC, 0);
    private static final TopicPartition EMPTY = new TopicPartition(TOPIC, 1);
    /** Out of order, and the largest in the middle of a batch that is not the last. */
    private static final long[] TIMESTAMPS = {1000, 3000, 2000, 9000, 4000, 5000, 8000, 6000};

    private final Clients clients;

    OffsetChecks(Clients clients) {
        this.clients = clients;
    }

    void run(Checks checks) {
        checks.check("a partition with timestamps out of order is written", this::write);
        checks.check("listOffsets knows the ends of a partition", this::ends);
        checks.check("listOffsets finds the first record at or after a time", this::times);
        checks.check("listOffsets finds the record with the largest timestamp", this::largest);
        checks.check("listOffsets answers for an empty partition", this::empty);
    }

    private void write() throws Exception {
        clients.topic(TOPIC, 2, Map.of("retention.ms", "-1"));
        Map<String, String> lingering =
                Map.of("linger.ms", "60000", "delivery.timeout.ms", "120000", "compression.type", "snappy");
        for (int batch = 0; batch < 2; batch++) {
            try (var producer = clients.producer(lingering)) {
                Future<?> last = null;
                for (int i = 4 * batch; i < 4 * batch + 4; i++) {
                    last = producer.send(new ProducerRecord<>(TOPIC, 0, TIMESTAMPS[i], null, ("" + i).getBytes()));
                }
                producer.flush();
                Checks.get(last);
            }
        }
    }

    private ListOffsetsResultInfo list(TopicPartition partition, OffsetSpec spec, IsolationLevel level)
            throws Exception {
        Admin admin = clients.admin;
        return Checks.get(admin.listOffsets(Map.of(partition, spec), new ListOffsetsOptions(level))
                .partitionResult(partition));
    }

    private void expect(TopicPartition partition, OffsetSpec spec, long offset, long timestamp) throws Exception {
        for (IsolationLevel level : IsolationLevel.values()) {
            ListOffsetsResultInfo found = list(partition, spec, level);
            Checks.equal(offset, found.offset(), "offset for " + spec + " " + level);
            Checks.equal(timestamp, found.timestamp(), "timestamp for " + spec + " " + level);
        }
    }

    private void ends() throws Exception {
        expect(FULL, OffsetSpec.earliest(), 0, -1);
        expect(FULL, OffsetSpec.latest(), TIMESTAMPS.length, -1);
    }

    private void times() throws Exception {
        expect(FULL, OffsetSpec.forTimestamp(0), 0, 1000);
        expect(FULL, OffsetSpec.forTimestamp(1001), 1, 3000);
        expect(FULL, OffsetSpec.forTimestamp(3000), 1, 3000);
        expect(FULL, OffsetSpec.forTimestamp(3001), 3, 9000);
        expect(FULL, OffsetSpec.forTimestamp(9000), 3, 9000);
        expect(FULL, OffsetSpec.forTimestamp(9001), -1, -1);
    }

    private void largest() throws Exception {
        expect(FULL, OffsetSpec.maxTimestamp(), 3, 9000);
    }

    private void empty() throws Exception {
        expect(EMPTY, OffsetSpec.earliest(), 0, -1);
        expect(EMPTY, OffsetSpec.latest(), 0, -1);
        expect(EMPTY, OffsetSpec.forTimestamp(0), -1, -1);
        expect(EMPTY, OffsetSpec.maxTimestamp(), -1, -1);
    }
}
