// SPDX-License-Identifier: Apache-2.0
package ottla;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.concurrent.Future;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeader;
import org.apache.kafka.common.record.TimestampType;

/** Records of every shape, in each codec and for each way to acknowledge, come back exactly as they went. */
final class CodecChecks {
    static final List<String> CODECS = List.of("none", "gzip", "snappy", "lz4", "zstd");
    private static final int RECORDS = 2_000;
    private static final int LARGE = 300_000;
    /** The timestamps are the same in every run, so they are old. */
    private static final Map<String, String> FOREVER = Map.of("retention.ms", "-1");
    private static final long FIRST_TIMESTAMP = 1_700_000_000_000L;

    private final Clients clients;

    CodecChecks(Clients clients) {
        this.clients = clients;
    }

    void run(Checks checks) {
        for (String codec : CODECS) {
            checks.check("records of every shape in " + codec + " come back equal",
                    () -> roundTrip(codec, Map.of("acks", "all")));
            checks.check("records of every shape in " + codec + " can be read again", () -> readAgain(codec));
            checks.check("a topic with compression.type=" + topicName(codec) + " gives back what came in another codec",
                    () -> recompressed(codec));
        }
        for (String acks : List.of("0", "1", "all")) {
            checks.check("records sent without idempotence and acks=" + acks + " come back equal",
                    () -> roundTrip("acks-" + acks, Map.of("acks", acks, "enable.idempotence", "false")));
        }
    }

    /** Of the topic that `roundTrip(codec)` wrote, possibly before the broker was restarted. */
    void readAgain(String codec) {
        compare(topicOf(codec), clients, Map.of("isolation.level", "read_committed"));
    }

    private static String topicOf(String name) {
        return "shapes-" + name;
    }

    private static String topicName(String codec) {
        return codec.equals("none") ? "uncompressed" : codec;
    }

    private void roundTrip(String name, Map<String, String> more) throws Exception {
        String topic = topicOf(name);
        clients.topic(topic, 2, FOREVER);
        Map<String, String> settings = new HashMap<>(more);
        if (CODECS.contains(name)) settings.put("compression.type", name);
        boolean blind = more.get("acks").equals("0");
        send(topic, settings, blind);
        if (blind) clients.awaitEnds(Clients.partitions(topic, 2), RECORDS / 2);
        compare(topic, clients, Map.of());
    }

    private void recompressed(String codec) throws Exception {
        String topic = "recompressed-" + codec;
        clients.topic(topic, 2, Map.of("compression.type", topicName(codec), "retention.ms", "-1"));
        send(topic, Map.of("compression.type", codec.equals("gzip") ? "lz4" : "gzip"), false);
        compare(topic, clients, Map.of());
    }

    private void send(String topic, Map<String, String> settings, boolean blind) throws Exception {
        List<Future<RecordMetadata>> sent = new ArrayList<>();
        try (KafkaProducer<byte[], byte[]> producer = clients.producer(settings)) {
            for (int i = 0; i < RECORDS; i++) sent.add(producer.send(record(topic, i)));
            producer.flush();
        }
        for (int i = 0; i < RECORDS; i++) {
            RecordMetadata where = Checks.get(sent.get(i));
            Checks.equal(i % 2, where.partition(), "partition of record " + i);
            if (!blind) Checks.equal((long) i / 2, where.offset(), "offset of record " + i);
        }
    }

    private static ProducerRecord<byte[], byte[]> record(String topic, int i) {
        return new ProducerRecord<>(topic, i % 2, FIRST_TIMESTAMP + 10L * i, key(i), value(i), headers(i));
    }

    private static byte[] key(int i) {
        return i % 5 == 0 ? null : i % 7 == 0 ? new byte[0] : ("key " + i).getBytes(StandardCharsets.UTF_8);
    }

    private static byte[] value(int i) {
        if (i % 11 == 0) return null;
        if (i % 13 == 0) return new byte[0];
        if (i == 1001) {
            byte[] large = new byte[LARGE];
            new Random(i).nextBytes(large);
            return large;
        }
        return ("value \u00e9\u6f22\ud83d\ude00 " + i + " ".repeat(i % 300)).getBytes(StandardCharsets.UTF_8);
    }

    private static List<Header> headers(int i) {
        if (i % 3 == 0) return List.of();
        return List.of(new RecordHeader("twice", new byte[] {(byte) i}), new RecordHeader("\u00fcber", new byte[0]),
                new RecordHeader("twice", null));
    }

    private static void compare(String topic, Clients clients, Map<String, String> settings) {
        Set<TopicPartition> partitions = Clients.partitions(topic, 2);
        clients.readAll(partitions, settings).forEach((partition, records) -> {
            Checks.equal(RECORDS / 2, records.size(), "records in " + partition);
            for (int n = 0; n < records.size(); n++) compare(records.get(n), n, 2 * n + partition.partition());
        });
    }

    private static void compare(ConsumerRecord<byte[], byte[]> record, long offset, int i) {
        String where = record.topic() + "-" + record.partition() + "@" + record.offset();
        Checks.equal(offset, record.offset(), "offset in " + where);
        Checks.that(Arrays.equals(key(i), record.key()), "key differs at " + where);
        Checks.that(Arrays.equals(value(i), record.value()), "value differs at " + where);
        Checks.equal(headers(i), List.of(record.headers().toArray()), "headers at " + where);
        Checks.equal(FIRST_TIMESTAMP + 10L * i, record.timestamp(), "timestamp at " + where);
        Checks.equal(TimestampType.CREATE_TIME, record.timestampType(), "timestamp type at " + where);
    }
}
