// SPDX-License-Identifier: Apache-2.0
package ottla;

import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Future;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.InvalidRecordException;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.InvalidTimestampException;
import org.apache.kafka.common.errors.InvalidTopicException;
import org.apache.kafka.common.errors.RecordTooLargeException;
import org.apache.kafka.common.record.TimestampType;

/** What a broker promises to, and refuses from, one producer. */
final class ProducerChecks {
    private static final int TINY_BATCHES = 3_000;

    private final Clients clients;

    ProducerChecks(Clients clients) {
        this.clients = clients;
    }

    void run(Checks checks) {
        checks.check("five requests in flight with a record each keep their order", this::order);
        checks.check("a second producer starts with sequences of its own", this::secondProducer);
        checks.check("LogAppendTime replaces the timestamps of records", this::logAppendTime);
        checks.check("the first record to a topic creates it", this::autoCreate);
        checks.check("a batch above max.message.bytes is refused, the next one is not", this::tooLarge);
        checks.check("a timestamp too far in the future is refused", this::badTimestamp);
        checks.check("a record without a key is refused by a compacted topic", this::compactedWithoutKey);
        checks.check("a topic with an impossible name is refused", this::badTopicName);
        checks.check("a refused batch leaves no gap behind in an idempotent producer", this::afterRefusal);
    }

    private static byte[] number(int i) {
        return ByteBuffer.allocate(4).putInt(i).array();
    }

    private static Future<RecordMetadata> send(KafkaProducer<byte[], byte[]> producer, String topic, byte[] value) {
        return producer.send(new ProducerRecord<>(topic, 0, null, value));
    }

    private void order() throws Exception {
        var partitions = clients.topic("order", 1, Map.of());
        List<Future<RecordMetadata>> sent = new ArrayList<>();
        try (var producer = clients.producer(Map.of("linger.ms", "0", "batch.size", "1", "acks", "all"))) {
            for (int i = 0; i < TINY_BATCHES; i++) sent.add(send(producer, "order", number(i)));
        }
        for (int i = 0; i < TINY_BATCHES; i++) Checks.equal((long) i, Checks.get(sent.get(i)).offset(), "offset");
        List<ConsumerRecord<byte[], byte[]>> read = clients.readAll(partitions, Map.of()).values().iterator().next();
        Checks.equal(TINY_BATCHES, read.size(), "records read");
        for (int i = 0; i < TINY_BATCHES; i++) {
            Checks.equal(i, ByteBuffer.wrap(read.get(i).value()).getInt(), "record " + i);
        }
    }

    private void secondProducer() throws Exception {
        clients.topic("second-producer", 1, Map.of());
        for (int round = 0; round < 3; round++) {
            try (var producer = clients.producer(Map.of("enable.idempotence", "true"))) {
                for (int i = 0; i < 10; i++) {
                    RecordMetadata where = Checks.get(send(producer, "second-producer", number(i)));
                    Checks.equal(round * 10L + i, where.offset(), "offset in round " + round);
                }
            }
        }
    }

    private void logAppendTime() throws Exception {
        var partitions = clients.topic("append-time", 1, Map.of("message.timestamp.type", "LogAppendTime"));
        long before = System.currentTimeMillis();
        long told;
        try (var producer = clients.producer(Map.of("compression.type", "zstd"))) {
            told = Checks.get(producer.send(
                    new ProducerRecord<>("append-time", 0, 1_000L, null, number(1)))).timestamp();
        }
        ConsumerRecord<byte[], byte[]> record =
                clients.readAll(partitions, Map.of()).values().iterator().next().get(0);
        Checks.equal(TimestampType.LOG_APPEND_TIME, record.timestampType(), "timestamp type");
        Checks.that(record.timestamp() >= before && record.timestamp() <= System.currentTimeMillis(),
                "the record got " + record.timestamp());
        Checks.equal(told, record.timestamp(), "timestamp that the producer was told");
    }

    private void autoCreate() throws Exception {
        try (var producer = clients.producer(Map.of())) {
            Checks.equal(0L, Checks.get(send(producer, "auto-created", number(1))).offset(), "offset");
        }
        Checks.soon(() -> Checks.that(Checks.get(clients.admin.listTopics().names()).contains("auto-created"),
                "the topic is not listed"));
        Checks.equal(1, clients.readAll(Clients.partitions("auto-created", 1), Map.of())
                .get(new TopicPartition("auto-created", 0)).size(), "records");
    }

    private void tooLarge() throws Exception {
        clients.topic("too-large", 1, Map.of("max.message.bytes", "10000"));
        try (var producer = clients.producer(Map.of())) {
            Checks.fails(RecordTooLargeException.class, send(producer, "too-large", new byte[20_000]));
            Checks.equal(0L, Checks.get(send(producer, "too-large", new byte[5_000])).offset(), "offset");
        }
    }

    private void badTimestamp() throws Exception {
        clients.topic("bad-timestamp", 1, Map.of("message.timestamp.after.max.ms", "60000"));
        long now = System.currentTimeMillis();
        try (var producer = clients.producer(Map.of())) {
            Checks.fails(InvalidTimestampException.class, producer.send(
                    new ProducerRecord<>("bad-timestamp", 0, now + 3_600_000L, null, number(1))));
            Checks.get(producer.send(new ProducerRecord<>("bad-timestamp", 0, now, null, number(1))));
        }
    }

    private void compactedWithoutKey() throws Exception {
        clients.topic("compacted", 1, Map.of("cleanup.policy", "compact"));
        try (var producer = clients.producer(Map.of())) {
            Checks.fails(InvalidRecordException.class, send(producer, "compacted", number(1)));
            Checks.get(producer.send(new ProducerRecord<>("compacted", 0, number(1), null)));
        }
    }

    private void badTopicName() throws Exception {
        try (var producer = clients.producer(Map.of())) {
            Checks.fails(InvalidTopicException.class, send(producer, "no/such:name", number(1)));
        }
    }

    private void afterRefusal() throws Exception {
        clients.topic("after-refusal", 1, Map.of("max.message.bytes", "10000"));
        try (var producer = clients.producer(Map.of("enable.idempotence", "true"))) {
            for (int round = 0; round < 3; round++) {
                RecordMetadata where = Checks.get(send(producer, "after-refusal", number(round)));
                Checks.equal((long) round, where.offset(), "offset");
                Checks.fails(RecordTooLargeException.class, send(producer, "after-refusal", new byte[20_000]));
            }
        }
    }
}
