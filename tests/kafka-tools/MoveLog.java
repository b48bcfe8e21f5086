// SPDX-License-Identifier: Apache-2.0
// Admin.alterReplicaLogDirs, which no tool of Kafka's asks for without a reassignment of partitions beside it, and what
// Admin.describeLogDirs says of space, which no tool prints.
//
//   MoveLog ADDRESS BROKER TOPIC PARTITION DIRECTORY   prints the error's class and ends with 1 if it is refused
//   MoveLog ADDRESS BROKER                             a line "DIRECTORY TOTAL USABLE" for each directory
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.ExecutionException;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.LogDirDescription;
import org.apache.kafka.common.TopicPartitionReplica;

public final class MoveLog {
    public static void main(String[] words) throws Exception {
        Properties settings = new Properties();
        settings.put("bootstrap.servers", words[0]);
        int broker = Integer.parseInt(words[1]);
        try (Admin admin = Admin.create(settings)) {
            if (words.length == 2) {
                describe(admin.describeLogDirs(List.of(broker)).descriptions().get(broker).get());
                return;
            }
            TopicPartitionReplica replica = new TopicPartitionReplica(words[2], Integer.parseInt(words[3]), broker);
            admin.alterReplicaLogDirs(Map.of(replica, words[4])).all().get();
        } catch (ExecutionException refused) {
            System.out.println(refused.getCause().getClass().getSimpleName());
            System.exit(1);
        }
    }

    private static void describe(Map<String, LogDirDescription> directories) {
        directories.forEach((path, found) -> System.out.println(
            path + " " + found.totalBytes().orElse(-1) + " " + found.usableBytes().orElse(-1)));
    }
}
