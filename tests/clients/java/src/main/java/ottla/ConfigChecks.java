// SPDX-License-Identifier: Apache-2.0
package ottla;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeSet;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.Config;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.ConfigEntry.ConfigSource;
import org.apache.kafka.clients.admin.DescribeConfigsOptions;
import org.apache.kafka.common.config.ConfigDef;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.errors.UnknownTopicOrPartitionException;
import org.apache.kafka.server.config.AbstractKafkaConfig;
import org.apache.kafka.storage.internals.log.LogConfig;

/** DescribeConfigs: the settings of topics and of the broker, held against Kafka's own tables. */
final class ConfigChecks {
    private static final String TOPIC = "configured";

    private final Clients clients;
    private final Admin admin;

    ConfigChecks(Clients clients) {
        this.clients = clients;
        admin = clients.admin;
    }

    void run(Checks checks) {
        checks.check("a topic's own settings are described as set on the topic", this::ownSettings);
        checks.check("a topic has every setting Kafka has, with Kafka's defaults", this::topicDefaults);
        checks.check("a topic's settings tell where their values come from", this::synonyms);
        checks.check("the broker's settings are Kafka's, with Kafka's defaults", this::brokerDefaults);
        checks.check("the settings of a topic that is not there are refused", this::refusals);
    }

    private Config describe(ConfigResource resource, DescribeConfigsOptions options) throws Exception {
        return Checks.get(admin.describeConfigs(List.of(resource), options).values().get(resource));
    }

    private Config topic(DescribeConfigsOptions options) throws Exception {
        return describe(new ConfigResource(ConfigResource.Type.TOPIC, TOPIC), options);
    }

    private ConfigResource broker() throws Exception {
        String id = Checks.get(admin.describeCluster().nodes()).iterator().next().idString();
        return new ConfigResource(ConfigResource.Type.BROKER, id);
    }

    private void ownSettings() throws Exception {
        clients.topic(TOPIC, 1, Map.of("retention.ms", "86400000", "cleanup.policy", "compact",
                "compression.type", "zstd", "min.cleanable.dirty.ratio", "0.25"));
        Config config = topic(new DescribeConfigsOptions());
        Map.of("retention.ms", "86400000", "cleanup.policy", "compact", "compression.type", "zstd",
                "min.cleanable.dirty.ratio", "0.25").forEach((name, value) -> {
                    ConfigEntry entry = config.get(name);
                    Checks.equal(value, entry.value(), name);
                    Checks.equal(ConfigSource.DYNAMIC_TOPIC_CONFIG, entry.source(), "source of " + name);
                    Checks.that(!entry.isDefault() && !entry.isReadOnly() && !entry.isSensitive(), entry.toString());
                });
        Checks.equal(ConfigEntry.ConfigType.LONG, config.get("retention.ms").type(), "type of retention.ms");
        Checks.equal(ConfigEntry.ConfigType.LIST, config.get("cleanup.policy").type(), "type of cleanup.policy");
    }

    /** How a default of Kafka's table looks on the wire; null where Kafka has none, and we may have one. */
    private static String text(ConfigDef.ConfigKey key) {
        return key.hasDefault() ? ConfigDef.convertToString(key.defaultValue, key.type) : null;
    }

    private void topicDefaults() throws Exception {
        Map<String, ConfigDef.ConfigKey> known = LogConfig.configKeys();
        Config config = topic(new DescribeConfigsOptions());
        TreeSet<String> missing = new TreeSet<>(LogConfig.nonInternalConfigNames());
        config.entries().forEach(entry -> missing.remove(entry.name()));
        Checks.equal(new TreeSet<>(), missing, "settings that are missing");
        List<String> different = new ArrayList<>();
        for (ConfigEntry entry : config.entries()) {
            ConfigDef.ConfigKey key = known.get(entry.name());
            if (key == null || entry.source() == ConfigSource.DYNAMIC_TOPIC_CONFIG) continue;
            if (!String.valueOf(text(key)).equals(String.valueOf(entry.value()))) {
                different.add(entry.name() + "=" + entry.value() + " instead of " + text(key));
            }
        }
        Checks.equal(List.of(), different, "defaults that differ");
    }

    private void synonyms() throws Exception {
        Config config = topic(new DescribeConfigsOptions().includeSynonyms(true).includeDocumentation(true));
        ConfigEntry policy = config.get("cleanup.policy");
        Checks.equal(List.of("cleanup.policy=compact DYNAMIC_TOPIC_CONFIG", "log.cleanup.policy=delete DEFAULT_CONFIG"),
                policy.synonyms().stream().map(s -> s.name() + "=" + s.value() + " " + s.source()).toList(),
                "synonyms of a setting of the topic");
        ConfigEntry interval = config.get("index.interval.bytes");
        Checks.equal(List.of("log.index.interval.bytes=4096 DEFAULT_CONFIG"),
                interval.synonyms().stream().map(s -> s.name() + "=" + s.value() + " " + s.source()).toList(),
                "synonyms of a default");
        String documentation = config.get("max.message.bytes").documentation();
        Checks.that(documentation != null && !documentation.isBlank(), "no documentation");
        Checks.equal(List.of(), topic(new DescribeConfigsOptions()).get("cleanup.policy").synonyms(), "unasked ones");
    }

    private void brokerDefaults() throws Exception {
        ConfigDef table = AbstractKafkaConfig.CONFIG_DEF;
        Config config = describe(broker(), new DescribeConfigsOptions().includeSynonyms(true));
        List<String> different = new ArrayList<>();
        for (ConfigEntry entry : config.entries()) {
            ConfigDef.ConfigKey key = table.configKeys().get(entry.name());
            if (key == null || entry.source() != ConfigSource.DEFAULT_CONFIG || entry.isSensitive()) continue;
            if (text(key) != null && !String.valueOf(text(key)).equals(String.valueOf(entry.value()))) {
                different.add(entry.name() + "=" + entry.value() + " instead of " + text(key));
            }
        }
        Checks.equal(List.of(), different, "defaults that differ");
        Checks.equal(ConfigSource.STATIC_BROKER_CONFIG, config.get("listeners").source(), "source of listeners");
        Checks.that(config.get("listeners").value().contains(clients.bootstrap), config.get("listeners").toString());
        Checks.equal(broker().name(), config.get("node.id").value(), "node.id");
        for (String name : List.of("log.dirs", "num.partitions", "log.segment.bytes", "message.max.bytes",
                "auto.create.topics.enable", "default.replication.factor", "log.retention.hours")) {
            Checks.that(config.get(name) != null, name + " is missing");
        }
    }

    private void refusals() throws Exception {
        ConfigResource missing = new ConfigResource(ConfigResource.Type.TOPIC, "no-such-topic");
        Checks.fails(UnknownTopicOrPartitionException.class,
                admin.describeConfigs(List.of(missing)).values().get(missing));
    }
}
