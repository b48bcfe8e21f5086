// SPDX-License-Identifier: Apache-2.0
// Runs main classes of Kafka one after the other in one Java machine: most of what such a tool costs is the start of
// its own. Each gets its classes of org.apache.kafka.tools and kafka.admin anew, so that nothing static is left over.
//
//   request (stdin)   number of strings i32, then each: length i32, bytes; class, arguments ..., last: its input
//   answer (stdout)   exit code i32, length i32, all that it printed
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.EOFException;
import java.io.File;
import java.io.IOException;
import java.io.OutputStream;
import java.io.PrintStream;
import java.lang.reflect.InvocationTargetException;
import java.net.URL;
import java.net.URLClassLoader;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.apache.kafka.common.utils.Exit;
import org.slf4j.LoggerFactory;

public final class Tools {
    /** Thrown where a tool wants to exit. Some catch even that, complain and exit again: only the first one counts. */
    private static final class Ended extends Error {
        Ended() {
            super("exit", null, false, false);
        }
    }

    /** System.out keeps to one stream for good; where that goes changes. */
    private static final class Switch extends OutputStream {
        private ByteArrayOutputStream current = new ByteArrayOutputStream();
        private Integer code;

        @Override
        public synchronized void write(int value) {
            if (code == null) current.write(value);
        }

        @Override
        public synchronized void write(byte[] bytes, int offset, int length) {
            if (code == null) current.write(bytes, offset, length);
        }

        void exit(int asked) {
            System.out.flush();
            synchronized (this) {
                if (code == null) code = asked;
            }
            throw new Ended();
        }

        synchronized void answer(int otherwise, DataOutputStream out) throws IOException {
            out.writeInt(code == null ? otherwise : code);
            out.writeInt(current.size());
            current.writeTo(out);
            out.flush();
            current = new ByteArrayOutputStream();
            code = null;
        }
    }

    private static final class Fresh extends URLClassLoader {
        Fresh(URL[] jars) {
            super(jars, Tools.class.getClassLoader());
        }

        @Override
        protected Class<?> loadClass(String name, boolean resolve) throws ClassNotFoundException {
            if (!name.startsWith("org.apache.kafka.tools.") && !name.startsWith("kafka.admin.")) {
                return super.loadClass(name, resolve);
            }
            synchronized (getClassLoadingLock(name)) {
                Class<?> found = findLoadedClass(name);
                return found != null ? found : findClass(name);
            }
        }
    }

    private static int run(URL[] jars, String[] words) {
        Fresh classes = new Fresh(jars);
        Thread.currentThread().setContextClassLoader(classes);
        try {
            Object arguments = Arrays.copyOfRange(words, 1, words.length - 1);
            classes.loadClass(words[0]).getMethod("main", String[].class).invoke(null, arguments);
            return 0;
        } catch (InvocationTargetException thrown) {
            thrown.getCause().printStackTrace(System.err);
            return 1;
        } catch (ReflectiveOperationException thrown) {
            thrown.printStackTrace(System.err);
            return 1;
        }
    }

    private static String[] request(DataInputStream in) throws IOException {
        String[] words = new String[in.readInt()];
        for (int i = 0; i < words.length; ++i) {
            words[i] = new String(in.readNBytes(in.readInt()), "UTF-8");
        }
        return words;
    }

    public static void main(String[] args) throws IOException {
        URL[] jars = Arrays.stream(new File(args[0]).listFiles())
            .map(file -> {
                try {
                    return file.toURI().toURL();
                } catch (IOException impossible) {
                    throw new IllegalStateException(impossible);
                }
            }).toArray(URL[]::new);
        DataInputStream in = new DataInputStream(System.in);
        DataOutputStream out = new DataOutputStream(System.out);
        LoggerFactory.getLogger(Tools.class);  // The log keeps to the standard error of before.
        Switch printed = new Switch();
        System.setOut(new PrintStream(printed, true, "UTF-8"));
        System.setErr(System.out);
        Exit.setExitProcedure((code, message) -> printed.exit(code));
        Exit.setHaltProcedure((code, message) -> printed.exit(code));
        List<Runnable> hooks = new ArrayList<>();  // A console producer writes its last records in one.
        Exit.setShutdownHookAdder((name, hook) -> hooks.add(hook));
        while (true) {
            String[] words;
            try {
                words = request(in);
            } catch (EOFException end) {
                Runtime.getRuntime().halt(0);
                return;
            }
            System.setIn(new ByteArrayInputStream(words[words.length - 1].getBytes("UTF-8")));
            int code = run(jars, words);
            System.out.flush();
            hooks.forEach(Runnable::run);
            hooks.clear();
            printed.answer(code, out);
        }
    }
}
