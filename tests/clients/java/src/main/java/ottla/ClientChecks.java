// SPDX-License-Identifier: Apache-2.0
package ottla;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/**
 * `ClientChecks write BOOTSTRAP DIR` runs every check against a new broker; `read BOOTSTRAP DIR TOPIC...` reads once
 * more what that wrote, after the broker was started again, and every TOPIC whose report is in DIR.
 */
public final class ClientChecks {
    private ClientChecks() {}

    public static void main(String[] arguments) {
        Checks checks = new Checks();
        Path directory = Path.of(arguments[2]);
        List<String> topics = new ArrayList<>(List.of(arguments).subList(3, arguments.length));
        topics.add("verified");
        try (Clients clients = new Clients(arguments[1])) {
            VerifiedRecords verified = new VerifiedRecords(clients, directory, "verified");
            CodecChecks codecs = new CodecChecks(clients);
            if (arguments[0].equals("write")) {
                checks.check("VerifiableProducer writes 50,000 records", verified::write);
                new AdminChecks(clients).run(checks);
                new ConfigChecks(clients).run(checks);
                new OffsetChecks(clients).run(checks);
                codecs.run(checks);
                new ProducerChecks(clients).run(checks);
                new ConsumerChecks(clients).run(checks);
            } else {
                for (String codec : CodecChecks.CODECS) {
                    checks.check("records in " + codec + " are read back", () -> codecs.readAgain(codec));
                }
            }
            for (String topic : topics) {
                for (String isolation : List.of("read_uncommitted", "read_committed")) {
                    checks.check("the 50,000 in " + topic + " are read back with " + isolation,
                            () -> new VerifiedRecords(clients, directory, topic).read(isolation));
                }
            }
        }
        System.exit(checks.failed() == 0 ? 0 : 1);
    }
}
