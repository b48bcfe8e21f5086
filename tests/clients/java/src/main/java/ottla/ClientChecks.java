// SPDX-License-Identifier: Apache-2.0
package ottla;

import java.nio.file.Path;

/**
 * `ClientChecks write BOOTSTRAP DIR` runs every check against a new broker; `ClientChecks read BOOTSTRAP DIR` reads
 * once more what that wrote, after the broker was started again. DIR keeps what VerifiableProducer reported.
 */
public final class ClientChecks {
    private ClientChecks() {}

    public static void main(String[] arguments) {
        Checks checks = new Checks();
        try (Clients clients = new Clients(arguments[1])) {
            VerifiedRecords verified = new VerifiedRecords(clients, Path.of(arguments[2]));
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
            for (String isolation : new String[] {"read_uncommitted", "read_committed"}) {
                checks.check("the 50,000 are read back with " + isolation, () -> verified.read(isolation));
            }
        }
        System.exit(checks.failed() == 0 ? 0 : 1);
    }
}
