// SPDX-License-Identifier: Apache-2.0
package ottla;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.File;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.BitSet;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.TimeUnit;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.common.TopicPartition;

/**
 * Kafka's VerifiableProducer (idempotent, acks=all) writes 50,000 records over three partitions and reports where
 * each was acknowledged; a consumer by assignment must find exactly those, once each, in order. The reports are
 * `TOPIC.json` in a directory; `write` makes one, `run` may bring its own.
 */
final class VerifiedRecords {
    static final int PARTITIONS = 3;
    static final int RECORDS = 50_000;
    private static final int KEYS = 997;
    private static final long PRODUCER_LIMIT_SECONDS = 240;

    private final Clients clients;
    private final String topic;
    private final Path report;

    VerifiedRecords(Clients clients, Path directory, String topic) {
        this.clients = clients;
        this.topic = topic;
        this.report = directory.resolve(topic + ".json");
    }

    void write() throws Exception {
        clients.topic(topic, PARTITIONS, Map.of());
        Path settings = Files.writeString(report.resolveSibling("verifiable-producer.properties"),
                "enable.idempotence=true\nretries=2147483647\n"
                + "max.in.flight.requests.per.connection=5\ndelivery.timeout.ms=120000\n");
        Process producer = new ProcessBuilder(System.getProperty("java.home") + "/bin/java", "-Xmx256m",
                "-XX:+UseSerialGC", "-cp", System.getProperty("java.class.path"),
                "-Dlog4j2.configurationFile=" + System.getProperty("log4j2.configurationFile"),
                "-Dlog.level=ERROR",
                "org.apache.kafka.tools.VerifiableProducer", "--bootstrap-server", clients.bootstrap,
                "--topic", topic, "--max-messages", "" + RECORDS, "--acks", "-1", "--repeating-keys", "" + KEYS,
                "--command-config", settings.toString())
                .redirectOutput(report.toFile()).redirectError(new File(report + ".err")).start();
        if (!producer.waitFor(PRODUCER_LIMIT_SECONDS, TimeUnit.SECONDS)) {
            producer.destroyForcibly();
            throw new AssertionError("VerifiableProducer did not finish: " + acknowledged() + " acknowledged");
        }
        String problems = Files.readString(Path.of(report + ".err"));
        Checks.equal(0, producer.exitValue(), "exit code of VerifiableProducer (" + problems + ")");
    }

    void read(String isolation) throws Exception {
        Checks.equal(RECORDS, acknowledged(), "records acknowledged");
        Checks.equal(List.of(), events("producer_send_error"), "sends that failed");
        Map<TopicPartition, TreeMap<Long, String>> expected = new HashMap<>();
        for (JsonNode event : events("producer_send_success")) {
            TopicPartition partition = new TopicPartition(topic, event.get("partition").asInt());
            String before = expected.computeIfAbsent(partition, p -> new TreeMap<>())
                    .put(event.get("offset").asLong(), event.get("value").asText());
            Checks.equal(null, before, "a record acknowledged at an offset already given in " + partition);
        }
        Checks.equal(Clients.partitions(topic, PARTITIONS), expected.keySet(), "partitions written to");
        BitSet seen = new BitSet(RECORDS);
        clients.readAll(expected.keySet(), Map.of("isolation.level", isolation)).forEach(
                (partition, records) -> compare(partition, expected.get(partition), records, seen));
        Checks.equal(RECORDS, seen.cardinality(), "different values read");
    }

    private static void compare(TopicPartition partition, TreeMap<Long, String> expected,
            List<ConsumerRecord<byte[], byte[]>> records, BitSet seen) {
        Checks.equal(expected.size(), records.size(), "records in " + partition);
        long offset = 0;
        int previous = -1;
        for (ConsumerRecord<byte[], byte[]> record : records) {
            String value = new String(record.value(), StandardCharsets.UTF_8);
            Checks.equal(offset, record.offset(), "next offset in " + partition);
            Checks.equal(expected.get(offset), value, "value at " + partition + "@" + offset);
            int number = Integer.parseInt(value);
            Checks.that(number > previous, number + " came after " + previous + " in " + partition);
            Checks.equal("" + number % KEYS, new String(record.key(), StandardCharsets.UTF_8), "key of " + number);
            Checks.that(!seen.get(number), number + " was read twice");
            seen.set(number);
            previous = number;
            offset++;
        }
    }

    private int acknowledged() throws Exception {
        return events("producer_send_success").size();
    }

    private List<JsonNode> events(String name) throws Exception {
        ObjectMapper json = new ObjectMapper();
        try (var lines = Files.lines(report)) {
            return lines.filter(line -> line.contains("\"" + name + "\"")).map(line -> {
                try {
                    return json.readTree(line);
                } catch (Exception problem) {
                    throw new AssertionError("VerifiableProducer printed " + line, problem);
                }
            }).toList();
        }
    }
}
