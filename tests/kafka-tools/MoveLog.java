// SPDX-License-Identifier: Apache-2.0
// Admin.alterReplicaLogDirs, which no tool of Kafka's asks for without a reassignment of partitions beside it.
//
//   MoveLog ADDRESS BROKER TOPIC PARTITION DIRECTORY
import java.util.Map;
import java.util.Properties;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.common.TopicPartitionReplica;

public final class MoveLog {
    public static void main(String[] words) throws Exception {
        Properties settings = new Properties();
        settings.put("bootstrap.servers", words[0]);
        try (Admin admin = Admin.create(settings)) {
            TopicPartitionReplica replica =
                new TopicPartitionReplica(words[2], Integer.parseInt(words[3]), Integer.parseInt(words[1]));
            admin.alterReplicaLogDirs(Map.of(replica, words[4])).all().get();
        }
    }
}
