// SPDX-License-Identifier: Apache-2.0
package nexbench;

import org.apache.flink.api.common.eventtime.*;
import org.apache.flink.api.common.functions.*;
import org.apache.flink.api.common.state.*;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.api.java.tuple.*;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.core.execution.JobClient;
import org.apache.flink.streaming.api.datastream.*;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.streaming.api.functions.KeyedProcessFunction;
import org.apache.flink.streaming.api.functions.co.ProcessJoinFunction;
import org.apache.flink.streaming.api.functions.sink.v2.DiscardingSink;
import org.apache.flink.streaming.api.windowing.assigners.TumblingEventTimeWindows;
import org.apache.flink.util.Collector;
import java.io.*;
import java.nio.file.*;
import java.time.Duration;

/** DataStream micro-measures. args: restPort tmPids out.tsv plan ("-" as in Bench) ; plan: name events par keys reps [k=v;...] */
public class Micro {
    static long mix(long z) {
        z = (z ^ (z >>> 30)) * 0xBF58476D1CE4E5B9L; z = (z ^ (z >>> 27)) * 0x94D049BB133111EBL; return z ^ (z >>> 31);
    }
    /** (key, value, timeMs): 1000 events per ms-of-event-time second, i.e. 1 event = 1 ms / 100. */
    public static class Make implements GenSource.Maker<Tuple3<Long, Long, Long>> {
        final long keys; public Make(long k) { keys = k; }
        @Override public Tuple3<Long, Long, Long> make(long n) {
            return Tuple3.of((mix(n * 0x9E3779B97F4A7C15L + 1) >>> 1) % keys, n, n / 100);
        }
    }
    public static class Count extends KeyedProcessFunction<Long, Tuple3<Long, Long, Long>, Tuple2<Long, Long>> {
        transient ValueState<Long> c;
        @Override public void open(OpenContext o) { c = getRuntimeContext().getState(new ValueStateDescriptor<>("c", Types.LONG)); }
        @Override public void processElement(Tuple3<Long, Long, Long> v, Context x, Collector<Tuple2<Long, Long>> out) throws Exception {
            Long o = c.value(); long n = o == null ? 1 : o + 1; c.update(n); out.collect(Tuple2.of(v.f0, n));
        }
    }
    /** keeps 1 KiB per key */
    public static class Blob extends KeyedProcessFunction<Long, Tuple3<Long, Long, Long>, Tuple2<Long, Long>> {
        transient ValueState<byte[]> c;
        @Override public void open(OpenContext o) { c = getRuntimeContext().getState(new ValueStateDescriptor<>("b", org.apache.flink.api.common.typeinfo.PrimitiveArrayTypeInfo.BYTE_PRIMITIVE_ARRAY_TYPE_INFO)); }
        @Override public void processElement(Tuple3<Long, Long, Long> v, Context x, Collector<Tuple2<Long, Long>> out) throws Exception {
            byte[] b = c.value(); if (b == null) { b = new byte[1024]; long s = mix(v.f0); for (int i = 0; i < 1024; i++) { if ((i & 7) == 0) s = mix(s + i); b[i] = (byte) (s >>> ((i & 7) * 8)); } } else b = b.clone();
            b[0]++; c.update(b); out.collect(Tuple2.of(v.f0, (long) b[0]));
        }
    }
    static void build(StreamExecutionEnvironment env, String name, long events, int par, long keys) {
        DataStream<Tuple3<Long, Long, Long>> s = env.fromSource(new GenSource<>(events, par, 32, new Make(keys)),
            name.startsWith("win") || name.startsWith("join")
                ? WatermarkStrategy.<Tuple3<Long, Long, Long>>forBoundedOutOfOrderness(Duration.ofMillis(10)).withTimestampAssigner((e, t) -> e.f2)
                : WatermarkStrategy.noWatermarks(), "src", Types.TUPLE(Types.LONG, Types.LONG, Types.LONG));
        switch (name) {
            case "pass": s.map(v -> v).returns(s.getType()).sinkTo(new DiscardingSink<>()); break;
            case "filter": s.filter(v -> v.f1 % 10 == 0).sinkTo(new DiscardingSink<>()); break;
            case "exchange": s.rebalance().map(v -> v).returns(s.getType()).disableChaining().sinkTo(new DiscardingSink<>()); break;
            case "count": s.keyBy(v -> v.f0, Types.LONG).process(new Count()).sinkTo(new DiscardingSink<>()); break;
            case "blob": s.keyBy(v -> v.f0, Types.LONG).process(new Blob()).sinkTo(new DiscardingSink<>()); break;
            case "win": s.keyBy(v -> v.f0, Types.LONG).window(TumblingEventTimeWindows.of(Duration.ofSeconds(1)))
                .aggregate(new AggregateFunction<Tuple3<Long, Long, Long>, Long, Long>() {
                    public Long createAccumulator() { return 0L; }
                    public Long add(Tuple3<Long, Long, Long> v, Long a) { return a + 1; }
                    public Long getResult(Long a) { return a; }
                    public Long merge(Long a, Long b) { return a + b; }
                }).sinkTo(new DiscardingSink<>()); break;
            case "join": {
                KeyedStream<Tuple3<Long, Long, Long>, Long> l = s.filter(v -> (v.f1 & 1) == 0).keyBy(v -> v.f0, Types.LONG), r = s.filter(v -> (v.f1 & 1) == 1).keyBy(v -> v.f0, Types.LONG);
                l.intervalJoin(r).between(Duration.ofMillis(-100), Duration.ofMillis(100)).process(new ProcessJoinFunction<Tuple3<Long, Long, Long>, Tuple3<Long, Long, Long>, Tuple2<Long, Long>>() {
                    public void processElement(Tuple3<Long, Long, Long> a, Tuple3<Long, Long, Long> b, Context c, Collector<Tuple2<Long, Long>> o) { o.collect(Tuple2.of(a.f1, b.f1)); }
                }).sinkTo(new DiscardingSink<>()); break;
            }
            default: throw new IllegalArgumentException(name);
        }
    }
    public static void main(String[] a) throws Exception {
        String port = a[0]; String[] pids = a[1].split(",");
        PrintWriter out = Bench.output(a[2]);
        BufferedReader plan = Bench.plan(a[3]);
        for (String line = plan.readLine(); line != null; line = plan.readLine()) {
            line = line.trim(); if (line.isEmpty() || line.startsWith("#")) continue;
            String[] f = line.split("\\s+"); long events = Long.parseLong(f[1]); int par = Integer.parseInt(f[2]); long keys = Long.parseLong(f[3]);
            String extra = f.length > 5 ? f[5] : "";
            for (int rep = 0; rep < Integer.parseInt(f[4]); rep++) {
                try {
                    Configuration c = new Configuration(); c.setString("pipeline.object-reuse", "true");
                    boolean detach = false;
                    for (String kv : extra.split(";")) if (!kv.isEmpty()) { String[] p = kv.split("=", 2); if (p[0].equals("detach")) detach = true; else c.setString(p[0], p[1]); }
                    StreamExecutionEnvironment env = StreamExecutionEnvironment.createRemoteEnvironment("localhost", Integer.parseInt(port), c);
                    env.setParallelism(par); build(env, f[0], events, par, keys);
                    for (String p : pids) Files.writeString(Path.of("/proc/" + p + "/clear_refs"), "5");
                    long c0 = Bench.cpuTicks(pids), t0 = System.nanoTime(); JobClient j = env.executeAsync(f[0]);
                    if (detach) { System.out.println(j.getJobID()); continue; }
                    j.getJobExecutionResult().get();
                    double wall = (System.nanoTime() - t0) / 1e9, cpu = (Bench.cpuTicks(pids) - c0) / 100.0;
                    long dur = Bench.num(Bench.rest(port, "/jobs/" + j.getJobID()), "duration");
                    String ck = Bench.rest(port, "/jobs/" + j.getJobID() + "/checkpoints");
                    out.printf("%s\t%d\t%d\t%d\t%s\t%d\t%.2f\t%.2f\t%.2f\t%.3f\t%d\tckpts=%d%n", f[0], events, par, keys, extra.isEmpty() ? "-" : extra, rep, wall, dur / 1e3, cpu, events / (dur / 1e3) / 1e6, Bench.hwmMb(pids), Bench.num(ck, "completed"));
                } catch (Throwable e) { Throwable x = e; while (x.getCause() != null) x = x.getCause(); out.printf("%s\tFAIL %s%n", f[0], ("" + x).replaceAll("\\s+", " ")); break; }
            }
        }
    }
}
