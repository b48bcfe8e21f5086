// SPDX-License-Identifier: Apache-2.0
// Prints golden bytes: every message class of Kafka's released jars, filled by reflection, written by
// Kafka's own serializers. The schema of a version (a constant of each class) says which fields exist
// and what may be null, so nothing here knows a message by name.
//
// A line: request|response KEY VERSION HEX, or record|key|value|message NAME VERSION HEX. In the json
// file: the same, but what Kafka's JSON converter prints instead of the hex.
package ottla;

import java.io.PrintStream;
import java.lang.reflect.Field;
import java.lang.reflect.Method;
import java.lang.reflect.Modifier;
import java.lang.reflect.ParameterizedType;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.TreeSet;
import java.util.function.Supplier;
import org.apache.kafka.common.Uuid;
import org.apache.kafka.common.compress.Compression;
import org.apache.kafka.common.message.ApiMessageType;
import org.apache.kafka.common.metadata.MetadataRecordType;
import org.apache.kafka.common.protocol.ApiMessage;
import org.apache.kafka.common.protocol.ByteBufferAccessor;
import org.apache.kafka.common.protocol.ObjectSerializationCache;
import org.apache.kafka.common.protocol.types.BoundField;
import org.apache.kafka.common.protocol.types.Schema;
import org.apache.kafka.common.protocol.types.TaggedFields;
import org.apache.kafka.common.protocol.types.Type;
import org.apache.kafka.common.record.internal.BaseRecords;
import org.apache.kafka.common.record.internal.MemoryRecords;
import org.apache.kafka.common.record.internal.SimpleRecord;

public final class Golden {
    /** What a captured message holds. */
    enum Mode { FULL, NULLS, DEFAULTS }

    private int count;
    private final Mode mode;

    private Golden(Mode mode) {
        this.mode = mode;
    }

    private static String plain(String name) {
        return name.replace("_", "").toLowerCase(Locale.ROOT);
    }

    private static Map<String, Type> typesOf(Schema schema) {
        Map<String, Type> types = new LinkedHashMap<>();
        for (BoundField field : schema.fields()) {
            if (field.def.type instanceof TaggedFields tagged) {
                tagged.fields().values().forEach(one -> types.put(plain(one.name), one.type));
            } else {
                types.put(plain(field.def.name), field.def.type);
            }
        }
        return types;
    }

    private void fill(Object message, Schema schema) throws Exception {
        Map<String, Type> types = typesOf(schema);
        for (Field field : message.getClass().getDeclaredFields()) {
            Type type = types.get(plain(field.getName()));
            if (type == null || Modifier.isStatic(field.getModifiers())) continue;
            field.setAccessible(true);
            if (mode == Mode.NULLS && type.isNullable()) {
                field.set(message, null);
            } else if (Collection.class.isAssignableFrom(field.getType())) {
                field.set(message, list(field, type, field.get(message)));
            } else {
                field.set(message, value(field.getType(), type));
            }
        }
    }

    private Object list(Field field, Type type, Object current) throws Exception {
        Class<?> element;
        Collection<Object> all;
        if (field.getType() == List.class) {
            element = (Class<?>) ((ParameterizedType) field.getGenericType()).getActualTypeArguments()[0];
            all = new ArrayList<>();
        } else {
            element = (Class<?>) ((ParameterizedType) field.getType().getGenericSuperclass()).getActualTypeArguments()[0];
            @SuppressWarnings("unchecked")
            Collection<Object> made = (Collection<Object>) field.getType().getConstructor(int.class).newInstance(4);
            all = made;
        }
        Type inner = type.arrayElementType().orElseThrow();
        all.add(value(element, inner));
        if (mode == Mode.FULL) all.add(value(element, inner));
        return all;
    }

    private Object value(Class<?> kind, Type type) throws Exception {
        int n = ++count;
        if (kind == boolean.class) return true;
        if (kind == byte.class || kind == Byte.class) return (byte) (n % 100 + 3);
        if (kind == short.class || kind == Short.class) return (short) (n % 30000 + 3);
        if (kind == int.class || kind == Integer.class) return n % 60000 + 3;
        if (kind == long.class || kind == Long.class) return type == Type.UNSIGNED_INT32 ? 3_000_000_000L + n : -1_000_000_000_000L - n;
        if (kind == double.class) return n + 0.5;
        if (kind == String.class) return "s\u00e9" + n;
        if (kind == Uuid.class) return new Uuid(0x0123456789abcdefL, n);
        if (kind == byte[].class) return new byte[] {(byte) n, 0, -1};
        if (kind == ByteBuffer.class) return ByteBuffer.wrap(new byte[] {(byte) n, 1, -2});
        if (BaseRecords.class.isAssignableFrom(kind)) {
            return MemoryRecords.withRecords(Compression.NONE, new SimpleRecord(n, ("record " + n).getBytes(StandardCharsets.UTF_8)));
        }
        Object inner = kind.getConstructor().newInstance();
        fill(inner, (Schema) type);
        return inner;
    }

    private static Schema schemaOf(ApiMessage message, short version) throws Exception {
        return ((Schema[]) message.getClass().getField("SCHEMAS").get(null))[version];
    }

    private static ApiMessage made(Supplier<? extends ApiMessage> fresh, Mode mode, short version) throws Exception {
        ApiMessage message = fresh.get();
        if (mode != Mode.DEFAULTS) new Golden(mode).fill(message, schemaOf(message, version));
        return message;
    }

    private static String hex(ApiMessage message, short version) {
        ObjectSerializationCache cache = new ObjectSerializationCache();
        ByteBuffer buffer = ByteBuffer.allocate(message.size(cache, version));
        message.write(new ByteBufferAccessor(buffer), cache, version);
        return HexFormat.of().formatHex(buffer.array());
    }

    private static String json(ApiMessage message, short version) throws Exception {
        Class<?> converter = Class.forName(message.getClass().getName() + "JsonConverter");
        Method write = converter.getMethod("write", message.getClass(), short.class);
        return write.invoke(null, message, version).toString();
    }

    /** Every version filled; defaults and nulls where it matters: oldest, last classic, newest. */
    private static void capture(PrintStream bytes, PrintStream texts, String label, Supplier<? extends ApiMessage> fresh,
                                int oldest, int newest, int firstFlexible) throws Exception {
        TreeSet<Integer> chosen = new TreeSet<>(List.of(oldest, newest));
        if (firstFlexible - 1 > oldest && firstFlexible - 1 < newest) chosen.add(firstFlexible - 1);
        for (int v = oldest; v <= newest; ++v) {
            short version = (short) v;
            for (Mode mode : Mode.values()) {
                if (mode != Mode.FULL && !chosen.contains(v)) continue;
                try {
                    bytes.println(label + " " + v + " " + hex(made(fresh, mode, version), version));
                } catch (NullPointerException unset) {
                    if (mode == Mode.FULL) throw unset;  // a default that cannot be written
                }
            }
            if (v == newest) texts.println(label + " " + v + " " + json(made(fresh, Mode.FULL, version), version));
        }
    }

    private static int flexible(ApiMessage message, int oldest, int newest) throws Exception {
        for (int v = oldest; v <= newest; ++v) {
            BoundField[] fields = schemaOf(message, (short) v).fields();
            if (fields.length > 0 && fields[fields.length - 1].def.type instanceof TaggedFields) return v;
        }
        return newest + 1;
    }

    private static void plainCapture(PrintStream bytes, PrintStream texts, String kind, Supplier<? extends ApiMessage> fresh) throws Exception {
        ApiMessage message = fresh.get();
        int oldest = message.lowestSupportedVersion();
        int newest = message.highestSupportedVersion();
        String name = message.getClass().getSimpleName();
        if (name.endsWith("HeaderData")) name = name.substring(0, name.length() - 4);
        capture(bytes, texts, kind + " " + name, fresh, oldest, newest, flexible(message, oldest, newest));
    }

    private static PrintStream open(String folder, String name) throws Exception {
        return new PrintStream(folder + "/" + name, StandardCharsets.UTF_8);
    }

    private static Supplier<ApiMessage> maker(Object record, String method) throws Exception {
        Method make = record.getClass().getMethod(method);
        make.setAccessible(true);
        return () -> {
            try {
                return (ApiMessage) make.invoke(record);
            } catch (ReflectiveOperationException impossible) {
                throw new IllegalStateException(impossible);
            }
        };
    }

    private static void apis(String folder, PrintStream texts) throws Exception {
        int part = 0;
        PrintStream bytes = null;
        for (ApiMessageType api : ApiMessageType.values()) {
            if (api.highestSupportedVersion(true) < api.lowestSupportedVersion()) continue;
            if (api.apiKey() / 10 + 1 > part) {
                if (bytes != null) bytes.close();
                part = api.apiKey() / 10 + 1;
                bytes = open(folder, String.format("apis_%02d.hex", api.apiKey() / 10 * 10));
            }
            int oldest = api.lowestSupportedVersion();
            int newest = api.highestSupportedVersion(true);
            capture(bytes, texts, "request " + api.apiKey(), api::newRequest, oldest, newest, flexible(api.newRequest(), oldest, newest));
            capture(bytes, texts, "response " + api.apiKey(), api::newResponse, oldest, newest, flexible(api.newResponse(), oldest, newest));
        }
        bytes.close();
    }

    private static void records(String folder, PrintStream texts) throws Exception {
        try (PrintStream bytes = open(folder, "metadata_records.hex")) {
            for (MetadataRecordType type : MetadataRecordType.values()) plainCapture(bytes, texts, "record", type::newMetadataRecord);
        }
        for (String coordinator : List.of("group", "transaction", "share")) {
            Class<?> types = Class.forName("org.apache.kafka.coordinator." + coordinator + ".generated.CoordinatorRecordType");
            try (PrintStream bytes = open(folder, coordinator + "_records.hex")) {
                for (Object type : types.getEnumConstants()) {
                    plainCapture(bytes, texts, "key", maker(type, "newRecordKey"));
                    plainCapture(bytes, texts, "value", maker(type, "newRecordValue"));
                }
            }
        }
        try (PrintStream bytes = open(folder, "other_messages.hex")) {
            for (String name : List.of("common.message.RequestHeaderData", "common.message.ResponseHeaderData",
                    "common.message.LeaderChangeMessage", "common.message.SnapshotHeaderRecord",
                    "common.message.SnapshotFooterRecord", "common.message.KRaftVersionRecord",
                    "common.message.VotersRecord", "common.message.EndTxnMarker",
                    "common.message.ConsumerProtocolSubscription", "common.message.ConsumerProtocolAssignment",
                    "common.message.DefaultPrincipalData", "raft.generated.QuorumStateData")) {
                Class<?> type = Class.forName("org.apache.kafka." + name);
                plainCapture(bytes, texts, "message", () -> {
                    try {
                        return (ApiMessage) type.getConstructor().newInstance();
                    } catch (ReflectiveOperationException impossible) {
                        throw new IllegalStateException(impossible);
                    }
                });
            }
        }
    }

    public static void main(String[] arguments) throws Exception {
        try (PrintStream texts = open(arguments[0], "newest.json.txt")) {
            apis(arguments[0], texts);
            records(arguments[0], texts);
        }
    }
}
