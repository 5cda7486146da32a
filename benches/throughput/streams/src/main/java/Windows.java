import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.HashMap;
import java.util.Map;
import java.util.Properties;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.KeyValue;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.errors.StreamsUncaughtExceptionHandler.StreamThreadExceptionResponse;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.Grouped;
import org.apache.kafka.streams.kstream.KGroupedStream;
import org.apache.kafka.streams.kstream.KStream;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.kstream.TimeWindows;
import org.apache.kafka.streams.state.Stores;
import org.apache.kafka.streams.state.WindowBytesStoreSupplier;

/**
 * Runs, successes and the sum of rewards by agent and window, exactly once.
 *
 * <p>The windows stand on the changelog of the store, as Whetstone's stand on agent-state.
 */
public final class Windows {
    private static final String STORE = "windows";
    private static final JsonFactory JSON = new JsonFactory();

    /** What is used of a trace. */
    record Run(String agent, long start, long end, String outcome, int attempts) {
        boolean success() {
            return "success".equals(outcome);
        }

        /** Millionths, by the default reward: each operation as in src/fold/reward.rs, for the same roundings. */
        long reward() {
            if (!success()) {
                return 0;
            }
            double best = 1.0 + 0.5 + 0.3 + 0.0;
            double latency = (end - start) / 1000.0;
            return micros(1.0 / best) + saved(0.5, latency, 600.0, best) + saved(0.3, attempts, 30.0, best);
        }

        private static long saved(double weight, double amount, double target, double best) {
            return micros(weight * (1.0 - Math.min(Math.max(amount / target, 0.0), 1.0)) / best);
        }

        private static long micros(double share) {
            return (long) Math.floor(share * 1_000_000.0);
        }

        /** Skips the texts, which are most of a trace. */
        static Run parse(byte[] bytes) {
            String agent = null;
            String outcome = null;
            long start = 0;
            long end = 0;
            int attempts = 0;
            try (JsonParser json = JSON.createParser(bytes)) {
                json.nextToken();
                while (json.nextToken() == JsonToken.FIELD_NAME) {
                    String name = json.currentName();
                    json.nextToken();
                    switch (name) {
                        case "agent" -> agent = json.getText();
                        case "outcome" -> outcome = json.getText();
                        case "start_ms" -> start = json.getLongValue();
                        case "end_ms" -> end = json.getLongValue();
                        case "steps" -> attempts = tools(json);
                        default -> json.skipChildren();
                    }
                }
            } catch (IOException problem) {
                throw new UncheckedIOException(problem);
            }
            return new Run(agent, start, end, outcome, attempts);
        }

        private static int tools(JsonParser json) throws IOException {
            int tools = 0;
            while (json.nextToken() == JsonToken.START_OBJECT) {
                while (json.nextToken() == JsonToken.FIELD_NAME) {
                    boolean type = "type".equals(json.currentName());
                    json.nextToken();
                    if (type && "tool".equals(json.getText())) {
                        tools++;
                    }
                    json.skipChildren();
                }
            }
            return tools;
        }
    }

    /** Sums of runs, and of a single one on its way to its agent. */
    record Sums(long runs, long successes, long reward) {
        static final Sums NONE = new Sums(0, 0, 0);

        static Sums of(Run run) {
            return new Sums(1, run.success() ? 1 : 0, run.reward());
        }

        Sums plus(Sums other) {
            return new Sums(runs + other.runs, successes + other.successes, reward + other.reward);
        }

        static final Serde<Sums> SERDE = Serdes.serdeFrom(
            (topic, sums) -> sums == null ? null
                : ByteBuffer.allocate(24).putLong(sums.runs).putLong(sums.successes).putLong(sums.reward).array(),
            (topic, bytes) -> {
                if (bytes == null) {
                    return null;
                }
                ByteBuffer in = ByteBuffer.wrap(bytes);
                return new Sums(in.getLong(), in.getLong(), in.getLong());
            });
    }

    private static final Serde<Run> RUN = Serdes.serdeFrom(
        (topic, run) -> {
            throw new UnsupportedOperationException("traces are only read");
        },
        (topic, bytes) -> Run.parse(bytes));

    private static long end(ConsumerRecord<Object, Object> traced, long partitionTime) {
        return ((Run) traced.value()).end();
    }

    private static StreamsBuilder topology(Map<String, String> given) {
        StreamsBuilder builder = new StreamsBuilder();
        KStream<String, Run> traces = builder.stream(
            given.get("topic"), Consumed.with(Serdes.String(), RUN).withTimestampExtractor(Windows::end));
        // A key that may have changed has records placed anew, by a topic in between.
        KStream<String, Sums> runs = given.get("keys").equals("trusted")
            ? traces.mapValues(Sums::of)
            : traces.map((key, run) -> KeyValue.pair(run.agent(), Sums.of(run)));
        KGroupedStream<String, Sums> byAgent =
            runs.groupByKey(Grouped.with("agents", Serdes.String(), Sums.SERDE));
        Duration length = Duration.ofMillis(Long.parseLong(given.get("window-ms")));
        Duration grace = Duration.ofMillis(Long.parseLong(given.get("grace-ms")));
        Duration kept = length.plus(grace);
        WindowBytesStoreSupplier store = given.get("store").equals("rocksdb")
            ? Stores.persistentWindowStore(STORE, kept, length, false)
            : Stores.inMemoryWindowStore(STORE, kept, length, false);
        byAgent.windowedBy(TimeWindows.ofSizeAndGrace(length, grace))
            .aggregate(
                () -> Sums.NONE,
                (agent, run, sums) -> sums.plus(run),
                Materialized.<String, Sums>as(store).withKeySerde(Serdes.String()).withValueSerde(Sums.SERDE)
                    .withCachingEnabled());
        return builder;
    }

    private static Properties properties(Map<String, String> given) {
        Properties properties = new Properties();
        properties.put(StreamsConfig.APPLICATION_ID_CONFIG, given.get("id"));
        properties.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, given.get("brokers"));
        properties.put(StreamsConfig.STATE_DIR_CONFIG, given.get("dir"));
        properties.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG, StreamsConfig.EXACTLY_ONCE_V2);
        properties.put(StreamsConfig.COMMIT_INTERVAL_MS_CONFIG, given.get("commit-ms"));
        properties.put(StreamsConfig.NUM_STREAM_THREADS_CONFIG, given.get("threads"));
        properties.put(StreamsConfig.REPLICATION_FACTOR_CONFIG, 1);
        // Holds all windows, so that each is written once a commit and not once a run.
        properties.put(StreamsConfig.STATESTORE_CACHE_MAX_BYTES_CONFIG, 256L << 20);
        return properties;
    }

    public static void main(String[] arguments) {
        Map<String, String> given = new HashMap<>();
        for (String argument : arguments) {
            String[] parts = argument.split("=", 2);
            given.put(parts[0], parts[1]);
        }
        KafkaStreams streams = new KafkaStreams(topology(given).build(), properties(given));
        streams.setUncaughtExceptionHandler(problem -> {
            problem.printStackTrace();
            Runtime.getRuntime().halt(1);
            return StreamThreadExceptionResponse.SHUTDOWN_CLIENT;
        });
        Runtime.getRuntime().addShutdownHook(new Thread(() -> streams.close(Duration.ofSeconds(20))));
        streams.start();
    }
}
