// SPDX-License-Identifier: Apache-2.0
package ottla;

import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.CreateTopicsOptions;
import org.apache.kafka.clients.admin.CreateTopicsResult;
import org.apache.kafka.clients.admin.ListTopicsOptions;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.TopicDescription;
import org.apache.kafka.clients.admin.TopicListing;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.KafkaFuture;
import org.apache.kafka.common.Node;
import org.apache.kafka.common.TopicCollection;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.TopicPartitionInfo;
import org.apache.kafka.common.Uuid;
import org.apache.kafka.common.errors.InvalidConfigurationException;
import org.apache.kafka.common.errors.InvalidPartitionsException;
import org.apache.kafka.common.errors.InvalidReplicaAssignmentException;
import org.apache.kafka.common.errors.InvalidReplicationFactorException;
import org.apache.kafka.common.errors.InvalidTopicException;
import org.apache.kafka.common.errors.TopicExistsException;
import org.apache.kafka.common.errors.UnknownTopicIdException;
import org.apache.kafka.common.errors.UnknownTopicOrPartitionException;

/** The cluster and the life of a topic through Kafka's own admin client. */
final class AdminChecks {
    private static final ListTopicsOptions ALL = new ListTopicsOptions().listInternal(true);

    private final Clients clients;
    private final Admin admin;

    AdminChecks(Clients clients) {
        this.clients = clients;
        admin = clients.admin;
    }

    void run(Checks checks) {
        checks.check("describeCluster names this broker", this::cluster);
        checks.check("describeFeatures has a metadata.version", this::features);
        checks.check("a created topic is listed and described", this::createAndDescribe);
        checks.check("a topic with an assignment of its own is created", this::assignment);
        checks.check("a topic with the broker's defaults is created", this::defaults);
        checks.check("100 topics are created in one request", this::hundred);
        checks.check("validateOnly creates nothing", this::validateOnly);
        checks.check("what a topic cannot be is refused", this::refusals);
        checks.check("good topics are created beside a bad one", this::mixed);
        checks.check("an unknown topic is not described", this::unknown);
        checks.check("a deleted topic is gone and may come back empty", this::deleteAndRecreate);
        checks.check("a topic is deleted by its id", this::deleteById);
    }

    private Node node() throws Exception {
        Collection<Node> nodes = Checks.get(admin.describeCluster().nodes());
        Checks.equal(1, nodes.size(), "nodes");
        return nodes.iterator().next();
    }

    private void cluster() throws Exception {
        Node node = node();
        Checks.equal(clients.bootstrap, node.host() + ":" + node.port(), "address");
        Checks.equal(node, Checks.get(admin.describeCluster().controller()), "controller");
        String id = Checks.get(admin.describeCluster().clusterId());
        Checks.equal(22, id.length(), "length of the cluster id '" + id + "'");
    }

    private void features() throws Exception {
        var features = Checks.get(admin.describeFeatures().featureMetadata());
        var level = features.finalizedFeatures().get("metadata.version");
        var supported = features.supportedFeatures().get("metadata.version");
        Checks.that(level != null && supported != null, "metadata.version is missing in " + features);
        Checks.that(level.maxVersionLevel() <= supported.maxVersion(), level + " is above " + supported);
    }

    private CreateTopicsResult create(NewTopic... topics) {
        return admin.createTopics(List.of(topics));
    }

    /** Those of `names` that the broker lists. */
    private Set<String> listed(Collection<String> names) throws Exception {
        Set<String> listed = new TreeSet<>(Checks.get(admin.listTopics(ALL).names()));
        listed.retainAll(names);
        return listed;
    }

    private void awaitListed(Set<String> expected, Collection<String> names) throws Exception {
        Checks.soon(() -> Checks.equal(expected, listed(names), "topics listed"));
    }

    private TopicDescription describe(String topic) throws Exception {
        return Checks.get(admin.describeTopics(List.of(topic)).topicNameValues().get(topic));
    }

    private void createAndDescribe() throws Exception {
        CreateTopicsResult created = create(new NewTopic("described", 3, (short) 1)
                .configs(Map.of("retention.ms", "123456", "cleanup.policy", "compact,delete")));
        Uuid id = Checks.get(created.topicId("described"));
        Checks.equal(3, Checks.get(created.numPartitions("described")), "partitions told at creation");
        Checks.equal(1, Checks.get(created.replicationFactor("described")), "replicas told at creation");
        Checks.equal("123456", Checks.get(created.config("described")).get("retention.ms").value(), "retention.ms");

        awaitListed(Set.of("described"), List.of("described"));
        Map<String, TopicListing> listed = Checks.get(admin.listTopics().namesToListings());
        Checks.equal(new TopicListing("described", id, false).toString(), "" + listed.get("described"), "listing");

        TopicDescription byName = describe("described");
        TopicDescription byId = Checks.get(
                admin.describeTopics(TopicCollection.ofTopicIds(List.of(id))).topicIdValues().get(id));
        for (TopicDescription topic : List.of(byName, byId)) {
            Checks.equal("described", topic.name(), "name");
            Checks.equal(id, topic.topicId(), "id");
            Checks.that(!topic.isInternal(), "the topic is internal");
            Checks.equal(List.of(0, 1, 2), topic.partitions().stream().map(TopicPartitionInfo::partition).toList(),
                    "partitions");
            for (TopicPartitionInfo partition : topic.partitions()) {
                Checks.equal(node(), partition.leader(), "leader");
                Checks.equal(List.of(node()), partition.replicas(), "replicas");
                Checks.equal(List.of(node()), partition.isr(), "in-sync replicas");
            }
        }
    }

    private void assignment() throws Exception {
        int id = node().id();
        CreateTopicsResult created = create(new NewTopic("assigned", Map.of(0, List.of(id), 1, List.of(id))));
        Checks.equal(2, Checks.get(created.numPartitions("assigned")), "partitions");
        awaitListed(Set.of("assigned"), List.of("assigned"));
        Checks.equal(2, describe("assigned").partitions().size(), "partitions described");
        Checks.fails(InvalidReplicaAssignmentException.class,
                create(new NewTopic("assigned-elsewhere", Map.of(0, List.of(id + 99)))).all());
        Checks.fails(InvalidReplicaAssignmentException.class,
                create(new NewTopic("assigned-twice", Map.of(0, List.of(id, id)))).all());
        Checks.fails(InvalidReplicaAssignmentException.class,
                create(new NewTopic("assigned-with-gap", Map.of(0, List.of(id), 2, List.of(id)))).all());
    }

    private void defaults() throws Exception {
        CreateTopicsResult created = admin.createTopics(List.of(
                new NewTopic("by-default", Optional.empty(), Optional.empty())));
        Checks.equal(1, Checks.get(created.numPartitions("by-default")), "num.partitions");
        Checks.equal(1, Checks.get(created.replicationFactor("by-default")), "default.replication.factor");
    }

    private void hundred() throws Exception {
        Set<String> names = new TreeSet<>();
        for (int i = 0; i < 100; i++) names.add("hundred-" + i);
        Checks.get(admin.createTopics(names.stream().map(n -> new NewTopic(n, 2, (short) 1)).toList()).all());
        awaitListed(names, names);
        Map<String, TopicDescription> described = Checks.get(admin.describeTopics(names).allTopicNames());
        Checks.equal(names, described.keySet(), "topics described");
        Checks.equal(100, described.values().stream().map(TopicDescription::topicId).distinct().toList().size(), "ids");
        Checks.get(admin.deleteTopics(names).all());
        awaitListed(Set.of(), names);
    }

    private void validateOnly() throws Exception {
        CreateTopicsOptions dry = new CreateTopicsOptions().validateOnly(true);
        Checks.get(admin.createTopics(List.of(new NewTopic("never", 2, (short) 1)), dry).all());
        Checks.that(!Checks.get(admin.listTopics().names()).contains("never"), "the topic was created");
        Checks.fails(InvalidReplicationFactorException.class,
                admin.createTopics(List.of(new NewTopic("never", 2, (short) 7)), dry).all());
    }

    private void refusals() throws Exception {
        clients.topic("exists", 1, Map.of());
        Checks.fails(TopicExistsException.class, create(new NewTopic("exists", 1, (short) 1)).all());
        Checks.fails(InvalidPartitionsException.class, create(new NewTopic("bad", 0, (short) 1)).all());
        Checks.fails(InvalidPartitionsException.class, create(new NewTopic("bad", -2, (short) 1)).all());
        Checks.fails(InvalidReplicationFactorException.class, create(new NewTopic("bad", 1, (short) 3)).all());
        Checks.fails(InvalidReplicationFactorException.class, create(new NewTopic("bad", 1, (short) 0)).all());
        for (String name : List.of("", ".", "..", "a/b", "a b", "a\u00e9", "x".repeat(250))) {
            Checks.fails(InvalidTopicException.class, create(new NewTopic(name, 1, (short) 1)).all());
        }
        for (Map<String, String> config : List.of(Map.of("no.such.setting", "1"), Map.of("retention.ms", "soon"),
                Map.of("cleanup.policy", "burn"), Map.of("max.message.bytes", "-1"),
                Map.of("compression.type", "rar"))) {
            Checks.fails(InvalidConfigurationException.class,
                    create(new NewTopic("bad", 1, (short) 1).configs(config)).all());
        }
        Checks.that(!Checks.get(admin.listTopics().names()).contains("bad"), "a refused topic was created");
        Checks.get(create(new NewTopic("x".repeat(249), 1, (short) 1)).all());
        Checks.get(admin.deleteTopics(List.of("x".repeat(249))).all());
    }

    private void mixed() throws Exception {
        CreateTopicsResult created = create(new NewTopic("mixed-good", 1, (short) 1),
                new NewTopic("mixed-bad", 1, (short) 9), new NewTopic("mixed-fine", 2, (short) 1));
        Checks.fails(InvalidReplicationFactorException.class, created.values().get("mixed-bad"));
        Checks.get(created.values().get("mixed-good"));
        Checks.get(created.values().get("mixed-fine"));
        awaitListed(Set.of("mixed-good", "mixed-fine"), List.of("mixed-good", "mixed-bad", "mixed-fine"));
    }

    private void unknown() throws Exception {
        Map<String, KafkaFuture<TopicDescription>> byName =
                admin.describeTopics(List.of("exists", "no-such-topic")).topicNameValues();
        Checks.fails(UnknownTopicOrPartitionException.class, byName.get("no-such-topic"));
        Checks.get(byName.get("exists"));
        Uuid id = Uuid.randomUuid();
        Checks.fails(UnknownTopicIdException.class,
                admin.describeTopics(TopicCollection.ofTopicIds(List.of(id))).topicIdValues().get(id));
        Checks.fails(UnknownTopicOrPartitionException.class, admin.deleteTopics(List.of("no-such-topic")).all());
        Checks.fails(UnknownTopicIdException.class,
                admin.deleteTopics(TopicCollection.ofTopicIds(List.of(id))).all());
    }

    private void deleteAndRecreate() throws Exception {
        clients.topic("reborn", 1, Map.of());
        Uuid first = describe("reborn").topicId();
        try (var producer = clients.producer(Map.of())) {
            Checks.get(producer.send(new ProducerRecord<>("reborn", 0, null, "gone".getBytes())));
        }
        Checks.get(admin.deleteTopics(List.of("reborn")).all());
        awaitListed(Set.of(), List.of("reborn"));
        Checks.fails(UnknownTopicOrPartitionException.class,
                admin.describeTopics(List.of("reborn")).topicNameValues().get("reborn"));

        var partitions = clients.topic("reborn", 1, Map.of());
        Checks.that(!first.equals(describe("reborn").topicId()), "the new topic has the id of the old one");
        try (var producer = clients.producer(Map.of())) {
            var where = Checks.get(producer.send(new ProducerRecord<>("reborn", 0, null, "new".getBytes())));
            Checks.equal(0L, where.offset(), "first offset of the new topic");
        }
        var records = clients.readAll(partitions, Map.of()).get(new TopicPartition("reborn", 0));
        Checks.equal(List.of("new"), records.stream().map(r -> new String(r.value())).toList(), "records");
    }

    private void deleteById() throws Exception {
        clients.topic("by-id", 1, Map.of());
        Uuid id = describe("by-id").topicId();
        Checks.get(admin.deleteTopics(TopicCollection.ofTopicIds(List.of(id))).all());
        awaitListed(Set.of(), List.of("by-id"));
    }
}
