// SPDX-License-Identifier: Apache-2.0
// Writes java_batches.h: record batches as the released Java client library (4.3.1) encodes them.
// By hand, when another sample is needed; the tests themselves need no Java:
//   javac -cp "$LIBS/*" Golden.java && java -cp "$LIBS/*:." Golden > java_batches.h
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import org.apache.kafka.common.compress.Compression;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeader;
import org.apache.kafka.common.message.LeaderChangeMessage;
import org.apache.kafka.common.message.LeaderChangeMessage.Voter;
import org.apache.kafka.common.record.TimestampType;
import org.apache.kafka.common.record.internal.*;

public class Golden {
    static byte[] bytes(String text) {
        return text == null ? null : text.getBytes(StandardCharsets.UTF_8);
    }

    static void print(String name, MemoryRecords records) {
        ByteBuffer buffer = records.buffer().duplicate();
        System.out.printf("inline constexpr std::string_view %s =", name);
        for (int i = 0; buffer.hasRemaining(); i++) {
            if (i % 44 == 0) System.out.printf("%s\n    \"", i == 0 ? "" : "\"");
            System.out.printf("%02x", buffer.get());
        }
        System.out.print("\";\n");
    }

    static class Sample {
        Compression compression = Compression.NONE;
        TimestampType type = TimestampType.CREATE_TIME;
        long appendTime = RecordBatch.NO_TIMESTAMP;
        long producerId = -1;
        short producerEpoch = -1;
        int sequence = -1;
        boolean transactional = false;

        Sample compressed(Compression how) { compression = how; return this; }
        Sample appendedAt(long time) {
            type = TimestampType.LOG_APPEND_TIME; appendTime = time; return this;
        }
        Sample producer(long id, int epoch, int first) {
            producerId = id; producerEpoch = (short) epoch; sequence = first; return this;
        }
        Sample transactional() { transactional = true; return this; }

        MemoryRecordsBuilder builder() {
            return MemoryRecords.builder(ByteBuffer.allocate(1 << 17), RecordBatch.MAGIC_VALUE_V2,
                compression, type, 0L, appendTime, producerId, producerEpoch, sequence,
                transactional, RecordBatch.NO_PARTITION_LEADER_EPOCH);
        }
        void five(String name) {
            MemoryRecordsBuilder b = builder();
            b.append(1700000000000L, bytes("key-0"), bytes("value-0"));
            b.append(1700000000005L, null, bytes("no key"));
            b.append(1700000000003L, bytes("tombstone"), (byte[]) null);
            b.append(1700000000004L, bytes(""), bytes(""), new Header[] {
                new RecordHeader("trace", bytes("abc")), new RecordHeader("empty", bytes("")),
                new RecordHeader("null", (byte[]) null)});
            b.append(1699999999999L, bytes("many"), bytes("words that repeat, ".repeat(20)));
            print(name, b.build());
        }
        /** More than one block of each framing. */
        void large(String name) {
            MemoryRecordsBuilder b = builder();
            b.append(1700000000000L, bytes("large"), bytes("x".repeat(100000)));
            print(name, b.build());
        }
    }

    public static void main(String[] arguments) {
        System.out.print("// SPDX-License-Identifier: Apache-2.0\n"
            + "// Record batches as the released Java client library encodes them, in hex: golden\n"
            + "// bytes that ours must equal or read back equal. Written by Golden.java (see there)\n"
            + "// with kafka-clients 4.3.1; not edited by hand.\n"
            + "// pure\n#pragma once\n\n#include <string_view>\n\nnamespace ottla::golden {\n\n");
        new Sample().five("kNone");
        new Sample().compressed(Compression.gzip().build()).five("kGzip");
        new Sample().compressed(Compression.snappy().build()).five("kSnappy");
        new Sample().compressed(Compression.lz4().build()).five("kLz4");
        new Sample().compressed(Compression.lz4().level(12).build()).five("kLz4Level12");
        new Sample().compressed(Compression.zstd().build()).five("kZstd");
        new Sample().compressed(Compression.gzip().build()).large("kGzipLarge");
        new Sample().compressed(Compression.snappy().build()).large("kSnappyLarge");
        new Sample().compressed(Compression.lz4().build()).large("kLz4Large");
        new Sample().compressed(Compression.zstd().build()).large("kZstdLarge");
        new Sample().producer(4711, 3, 2147483645).five("kIdempotent");
        new Sample().producer(4711, 3, 17).transactional().five("kTransactional");
        new Sample().producer(4711, 3, 17).transactional().compressed(Compression.zstd().build())
            .five("kTransactionalZstd");
        new Sample().appendedAt(1800000000000L).five("kLogAppendTime");
        print("kEndCommit", MemoryRecords.withEndTransactionMarker(42L, 1700000000000L, 7, 4711L,
            (short) 3, new EndTransactionMarker(ControlRecordType.COMMIT, 12)));
        print("kEndAbort", MemoryRecords.withEndTransactionMarker(42L, 1700000000000L, 7, 4711L,
            (short) 3, new EndTransactionMarker(ControlRecordType.ABORT, 12)));
        LeaderChangeMessage change = new LeaderChangeMessage().setVersion((short) 0).setLeaderId(1);
        change.voters().add(new Voter().setVoterId(1));
        change.grantingVoters().add(new Voter().setVoterId(1));
        print("kLeaderChange", MemoryRecords.withLeaderChangeMessage(5L, 1700000000000L, 7,
            ByteBuffer.allocate(512), change));
        System.out.print("\n}  // namespace ottla::golden\n");
    }
}
