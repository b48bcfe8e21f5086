// SPDX-License-Identifier: Apache-2.0
package ottla;

import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndTimestamp;
import org.apache.kafka.clients.consumer.OffsetOutOfRangeException;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;

/** Where a consumer by assignment may start, what it gets and how long it waits. */
final class ConsumerChecks {
    private static final int RECORDS = 1_000;
    private static final long FIRST_TIMESTAMP = 1_700_000_000_000L;

    private final Clients clients;

    ConsumerChecks(Clients clients) {
        this.clients = clients;
    }

    void run(Checks checks) {
        checks.check("a topic of 1,000 records in small batches is written", this::write);
        checks.check("seek, position and the ends of a partition agree", this::seek);
        checks.check("offsetsForTimes finds the first record at or after a time", this::offsetsForTimes);
        checks.check("one byte per partition still brings a batch at a time",
                () -> slowly("max.partition.fetch.bytes"));
        checks.check("one byte per fetch still brings a batch at a time", () -> slowly("fetch.max.bytes"));
        checks.check("read_committed reads what no transaction wrote", this::readCommitted);
        checks.check("a waiting fetch is answered by the append it waits for", this::longPoll);
        checks.check("a fetch that waits for more bytes than come is answered in the end", this::minBytes);
        checks.check("an offset out of range is an error or starts again, as the consumer asks", this::outOfRange);
        checks.check("partitionsFor names the leader", this::partitionsFor);
        checks.check("many partitions are read by one consumer", this::manyPartitions);
    }

    private static final String TOPIC = "consumed";
    private static final TopicPartition PARTITION = new TopicPartition(TOPIC, 0);

    private void write() throws Exception {
        clients.topic(TOPIC, 1, Map.of("retention.ms", "-1"));
        try (var producer = clients.producer(Map.of("batch.size", "500", "compression.type", "gzip"))) {
            for (int i = 0; i < RECORDS; i++) {
                producer.send(new ProducerRecord<>(TOPIC, 0, FIRST_TIMESTAMP + 10L * i, null, ("" + i).getBytes()));
            }
        }
    }

    private KafkaConsumer<byte[], byte[]> assigned(TopicPartition partition, Map<String, String> settings) {
        KafkaConsumer<byte[], byte[]> consumer = clients.consumer(settings);
        consumer.assign(List.of(partition));
        return consumer;
    }

    private static List<ConsumerRecord<byte[], byte[]>> poll(KafkaConsumer<byte[], byte[]> consumer, int atLeast) {
        List<ConsumerRecord<byte[], byte[]>> records = new ArrayList<>();
        long deadline = System.nanoTime() + Duration.ofSeconds(Checks.LIMIT_SECONDS).toNanos();
        while (records.size() < atLeast) {
            Checks.that(System.nanoTime() < deadline, "only " + records.size() + " of " + atLeast + " records came");
            consumer.poll(Duration.ofSeconds(1)).forEach(records::add);
        }
        return records;
    }

    private void seek() {
        try (var consumer = assigned(PARTITION, Map.of())) {
            Checks.equal(0L, consumer.beginningOffsets(List.of(PARTITION)).get(PARTITION), "beginning");
            Checks.equal((long) RECORDS, consumer.endOffsets(List.of(PARTITION)).get(PARTITION), "end");
            consumer.seekToEnd(List.of(PARTITION));
            Checks.equal((long) RECORDS, consumer.position(PARTITION), "position at the end");
            for (long offset : new long[] {999, 1, 500, 0, 777}) {
                consumer.seek(PARTITION, offset);
                ConsumerRecord<byte[], byte[]> first = poll(consumer, 1).get(0);
                Checks.equal(offset, first.offset(), "offset of the first record behind a seek");
                Checks.equal("" + offset, new String(first.value()), "its value");
            }
        }
    }

    private void offsetsForTimes() {
        try (var consumer = assigned(PARTITION, Map.of())) {
            for (int i : new int[] {0, 1, 499, 998}) {
                OffsetAndTimestamp found =
                        consumer.offsetsForTimes(Map.of(PARTITION, FIRST_TIMESTAMP + 10L * i + 1)).get(PARTITION);
                Checks.equal(i + 1L, found.offset(), "offset behind record " + i);
                Checks.equal(FIRST_TIMESTAMP + 10L * (i + 1), found.timestamp(), "its timestamp");
            }
            Checks.equal(null, consumer.offsetsForTimes(Map.of(PARTITION, FIRST_TIMESTAMP + 10L * RECORDS))
                    .get(PARTITION), "offset behind the last record");
        }
    }

    private void slowly(String setting) {
        var records = clients.readAll(Set.of(PARTITION), Map.of(setting, "1")).get(PARTITION);
        Checks.equal(RECORDS, records.size(), "records");
        for (int i = 0; i < RECORDS; i++) Checks.equal((long) i, records.get(i).offset(), "offset");
    }

    private void readCommitted() {
        Map<String, String> settings = Map.of("isolation.level", "read_committed");
        Checks.equal(RECORDS, clients.readAll(Set.of(PARTITION), settings).get(PARTITION).size(), "records");
        try (var consumer = assigned(PARTITION, settings)) {
            Checks.equal((long) RECORDS, consumer.endOffsets(List.of(PARTITION)).get(PARTITION), "last stable offset");
        }
    }

    /** The first, short poll leaves a fetch at the broker that may wait 30 s; the next one sees it answered. */
    private void longPoll() throws Exception {
        TopicPartition partition = clients.topic("long-poll", 1, Map.of()).iterator().next();
        Map<String, String> patient = Map.of("fetch.max.wait.ms", "30000", "request.timeout.ms", "45000");
        try (var consumer = assigned(partition, patient); var producer = clients.producer(Map.of())) {
            consumer.seek(partition, 0);
            Checks.that(consumer.poll(Duration.ofMillis(500)).isEmpty(), "an empty partition has no records");
            long sent = System.nanoTime();
            Checks.get(producer.send(new ProducerRecord<>("long-poll", 0, null, "late".getBytes())));
            ConsumerRecords<byte[], byte[]> records = consumer.poll(Duration.ofSeconds(60));
            Duration waited = Duration.ofNanos(System.nanoTime() - sent);
            Checks.equal(1, records.count(), "records");
            Checks.that(waited.toSeconds() < 20, "the fetch was answered " + waited + " after the append");
        }
    }

    private void minBytes() throws Exception {
        TopicPartition partition = clients.topic("min-bytes", 1, Map.of()).iterator().next();
        Map<String, String> greedy = Map.of("fetch.min.bytes", "1000000", "fetch.max.wait.ms", "700");
        try (var consumer = assigned(partition, greedy); var producer = clients.producer(Map.of())) {
            consumer.seek(partition, 0);
            Checks.get(producer.send(new ProducerRecord<>("min-bytes", 0, null, "little".getBytes())));
            Checks.equal(1, poll(consumer, 1).size(), "records");
        }
    }

    private void outOfRange() {
        try (var consumer = assigned(PARTITION, Map.of("auto.offset.reset", "none"))) {
            consumer.seek(PARTITION, RECORDS + 1L);
            try {
                consumer.poll(Duration.ofSeconds(30));
                throw new AssertionError("a fetch behind the end was answered");
            } catch (OffsetOutOfRangeException expected) {
                Checks.equal(Map.of(PARTITION, RECORDS + 1L), expected.offsetOutOfRangePartitions(), "out of range");
            }
        }
        try (var consumer = assigned(PARTITION, Map.of("auto.offset.reset", "earliest"))) {
            consumer.seek(PARTITION, 1_000_000);
            Checks.equal(0L, poll(consumer, 1).get(0).offset(), "offset after the reset");
        }
    }

    private void partitionsFor() {
        try (var consumer = assigned(PARTITION, Map.of())) {
            var partitions = consumer.partitionsFor(TOPIC);
            Checks.equal(1, partitions.size(), "partitions");
            var partition = partitions.get(0);
            Checks.equal(clients.bootstrap, partition.leader().host() + ":" + partition.leader().port(), "leader");
            Checks.equal(List.of(partition.leader()), List.of(partition.replicas()), "replicas");
            Checks.equal(List.of(partition.leader()), List.of(partition.inSyncReplicas()), "in-sync replicas");
            Checks.equal(0, partition.offlineReplicas().length, "offline replicas");
        }
    }

    private void manyPartitions() throws Exception {
        Set<TopicPartition> partitions = clients.topic("many-partitions", 50, Map.of());
        try (var producer = clients.producer(Map.of("compression.type", "lz4"))) {
            for (int i = 0; i < 50 * 20; i++) {
                producer.send(new ProducerRecord<>("many-partitions", i % 50, null, ("" + i).getBytes()));
            }
        }
        clients.readAll(partitions, Map.of()).forEach((partition, records) -> {
            Checks.equal(20, records.size(), "records in " + partition);
            for (int n = 0; n < 20; n++) {
                Checks.equal("" + (n * 50 + partition.partition()), new String(records.get(n).value()), "value");
            }
        });
    }
}
