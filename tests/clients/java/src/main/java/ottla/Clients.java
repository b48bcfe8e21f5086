// SPDX-License-Identifier: Apache-2.0
package ottla;

import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/** Makes the clients of one broker, and does with them what nearly every check needs. */
final class Clients implements AutoCloseable {
    final String bootstrap;
    final Admin admin;

    Clients(String bootstrap) {
        this.bootstrap = bootstrap;
        admin = Admin.create(settings(Map.of("default.api.timeout.ms", "60000")));
    }

    @Override
    public void close() {
        admin.close(Duration.ofSeconds(10));
    }

    private Map<String, Object> settings(Map<String, String> more) {
        Map<String, Object> all = new HashMap<>();
        all.put("bootstrap.servers", bootstrap);
        all.put("request.timeout.ms", "15000");
        all.putAll(more);
        return all;
    }

    KafkaProducer<byte[], byte[]> producer(Map<String, String> more) {
        Map<String, Object> all = settings(Map.of("delivery.timeout.ms", "90000", "max.block.ms", "60000"));
        all.putAll(more);
        return new KafkaProducer<>(all, new ByteArraySerializer(), new ByteArraySerializer());
    }

    KafkaConsumer<byte[], byte[]> consumer(Map<String, String> more) {
        Map<String, Object> all = settings(Map.of("allow.auto.create.topics", "false", "auto.offset.reset", "none",
                "default.api.timeout.ms", "60000", "enable.auto.commit", "false"));
        all.putAll(more);
        return new KafkaConsumer<>(all, new ByteArrayDeserializer(), new ByteArrayDeserializer());
    }

    /**
     * The partitions of a new topic, each of which already answers as a leader. Without waiting for that a check fails
     * one time in ten on Kafka itself: NOT_LEADER_OR_FOLLOWER for the first batch of an idempotent producer, then the
     * second is taken although its sequence is not 0, and the first is out of order for ever.
     */
    Set<TopicPartition> topic(String name, int partitions, Map<String, String> configs) throws Exception {
        NewTopic topic = new NewTopic(name, partitions, (short) 1).configs(configs);
        Checks.get(admin.createTopics(List.of(topic)).all());
        Set<TopicPartition> all = partitions(name, partitions);
        Map<TopicPartition, OffsetSpec> ends =
                all.stream().collect(Collectors.toMap(partition -> partition, partition -> OffsetSpec.latest()));
        Checks.soon(() -> Checks.get(admin.listOffsets(ends).all()));
        return all;
    }

    static Set<TopicPartition> partitions(String topic, int count) {
        return IntStream.range(0, count).mapToObj(p -> new TopicPartition(topic, p)).collect(Collectors.toSet());
    }

    /** Everything in `partitions`, by assignment, from the beginning to the end they have now. */
    Map<TopicPartition, List<ConsumerRecord<byte[], byte[]>>> readAll(
            Set<TopicPartition> partitions, Map<String, String> more) {
        try (KafkaConsumer<byte[], byte[]> consumer = consumer(more)) {
            consumer.assign(partitions);
            consumer.seekToBeginning(partitions);
            return readToEnd(consumer, partitions);
        }
    }

    /** Returns once every partition ends at `end`: nobody told the producer when its records were there. */
    void awaitEnds(Set<TopicPartition> partitions, long end) {
        long deadline = System.nanoTime() + Duration.ofSeconds(Checks.LIMIT_SECONDS).toNanos();
        try (KafkaConsumer<byte[], byte[]> consumer = consumer(Map.of())) {
            Map<TopicPartition, Long> ends = consumer.endOffsets(partitions);
            while (ends.values().stream().anyMatch(reached -> reached < end)) {
                Checks.that(System.nanoTime() < deadline, "the partitions end at " + ends + ", not at " + end);
                ends = consumer.endOffsets(partitions);
            }
        }
    }

    static Map<TopicPartition, List<ConsumerRecord<byte[], byte[]>>> readToEnd(
            KafkaConsumer<byte[], byte[]> consumer, Set<TopicPartition> partitions) {
        Map<TopicPartition, Long> ends = consumer.endOffsets(partitions);
        Map<TopicPartition, List<ConsumerRecord<byte[], byte[]>>> read = new HashMap<>();
        partitions.forEach(partition -> read.put(partition, new ArrayList<>()));
        long deadline = System.nanoTime() + Duration.ofSeconds(Checks.LIMIT_SECONDS).toNanos();
        while (partitions.stream().anyMatch(partition -> consumer.position(partition) < ends.get(partition))) {
            if (System.nanoTime() > deadline) {
                Map<TopicPartition, Integer> counts = new HashMap<>();
                read.forEach((partition, records) -> counts.put(partition, records.size()));
                throw new AssertionError("read " + counts + " of " + ends + " in the time there was");
            }
            consumer.poll(Duration.ofSeconds(1)).forEach(
                    record -> read.get(new TopicPartition(record.topic(), record.partition())).add(record));
        }
        return read;
    }
}
