// SPDX-License-Identifier: Apache-2.0
package ottla;

import java.util.Objects;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;

/** Runs named checks one after another; a failed one does not stop the rest. The lines are counted by `run`. */
final class Checks {
    interface Body {
        void run() throws Exception;
    }

    static final long LIMIT_SECONDS = 120;

    private int failed = 0;

    void check(String name, Body body) {
        try {
            body.run();
            System.out.println("ok      " + name);
        } catch (Throwable problem) {
            failed++;
            Throwable cause = problem instanceof ExecutionException ? problem.getCause() : problem;
            System.out.println("FAILED  " + name + ": " + cause);
            for (StackTraceElement frame : problem.getStackTrace()) {
                if (frame.getClassName().startsWith("ottla.")) System.out.println("          " + frame);
            }
        }
    }

    int failed() {
        return failed;
    }

    static <T> T get(Future<T> future) throws Exception {
        return future.get(LIMIT_SECONDS, TimeUnit.SECONDS);
    }

    static void that(boolean holds, String what) {
        if (!holds) throw new AssertionError(what);
    }

    static void equal(Object expected, Object actual, String what) {
        if (!Objects.equals(expected, actual)) {
            throw new AssertionError(what + ": expected " + expected + ", got " + actual);
        }
    }

    /** For what a broker may show a moment after it acknowledged: `body` must hold before the time is over. */
    static void soon(Body body) throws Exception {
        long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(LIMIT_SECONDS);
        while (true) {
            try {
                body.run();
                return;
            } catch (AssertionError | ExecutionException problem) {
                if (System.nanoTime() > deadline) throw problem;
            }
        }
    }

    /** The error that `future` ends with, which must be a `kind`. */
    static <E extends Throwable> E fails(Class<E> kind, Future<?> future) throws Exception {
        try {
            Object value = get(future);
            throw new AssertionError("expected " + kind.getSimpleName() + ", got " + value);
        } catch (ExecutionException problem) {
            if (kind.isInstance(problem.getCause())) return kind.cast(problem.getCause());
            throw new AssertionError("expected " + kind.getSimpleName() + ", got " + problem.getCause());
        }
    }
}
