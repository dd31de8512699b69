// SPDX-License-Identifier: Apache-2.0
package nexbench;

import org.apache.flink.configuration.*;
import org.apache.flink.table.api.*;
import org.apache.flink.types.Row;
import org.apache.flink.types.RowKind;
import org.apache.flink.util.CloseableIterator;
import java.io.*;
import java.net.URI;
import java.net.http.*;
import java.nio.file.*;
import java.util.*;

/**
 * Runs a plan of SQL queries on a running cluster and prints one TSV line per run.
 * args: restPort tmPids(comma) sqlDir out.tsv plan ; "-" as out.tsv and plan: standard output and input, so that a
 * driver can keep one client and hand it a line at a time.
 * plan line: query source events parallelism sink reps [key=value;key=value...]
 *   source: gen | json:DIR | csv:DIR     sink: blackhole | csv:DIR | golden:FILE
 */
public class Bench {
    static String proc(String pid, String f) throws IOException { return Files.readString(Path.of("/proc/" + pid + "/" + f)); }
    static long cpuTicks(String[] pids) throws IOException {
        long t = 0;
        for (String p : pids) { String s = proc(p, "stat"); String[] x = s.substring(s.lastIndexOf(')') + 2).split(" "); t += Long.parseLong(x[11]) + Long.parseLong(x[12]); }
        return t;
    }
    static long hwmMb(String[] pids) throws IOException {
        long t = 0;
        for (String p : pids) for (String l : proc(p, "status").split("\n")) if (l.startsWith("VmHWM")) t += Long.parseLong(l.replaceAll("[^0-9]", ""));
        return t / 1024;
    }
    static String rest(String port, String path) throws Exception {
        return HttpClient.newHttpClient().send(HttpRequest.newBuilder(URI.create("http://localhost:" + port + path)).build(), HttpResponse.BodyHandlers.ofString()).body();
    }
    static long num(String json, String key) { int i = json.indexOf("\"" + key + "\":"); if (i < 0) return -1; i += key.length() + 3; int j = i; while (j < json.length() && (Character.isDigit(json.charAt(j)) || json.charAt(j) == '-')) j++; return Long.parseLong(json.substring(i, j)); }

    static PrintWriter output(String name) throws IOException {
        return name.equals("-") ? new PrintWriter(System.out, true) : new PrintWriter(new FileWriter(name, true), true);
    }
    static BufferedReader plan(String name) throws IOException {
        return name.equals("-") ? new BufferedReader(new InputStreamReader(System.in)) : Files.newBufferedReader(Path.of(name));
    }

    static void tables(TableEnvironment t, String source, long events, int par, String seed) {
        String rows = "person ROW<id BIGINT, name STRING, emailAddress STRING, creditCard STRING, city STRING, state STRING, extra STRING>, ";
        String auc = "auction ROW<id BIGINT, itemName STRING, description STRING, initialBid BIGINT, reserve BIGINT, expires %s, seller BIGINT, category BIGINT, extra STRING>, ";
        String bid = "bid ROW<auction BIGINT, bidder BIGINT, price BIGINT, channel STRING, url STRING, extra STRING>";
        String wm = ", WATERMARK FOR `dateTime` AS `dateTime` - INTERVAL '4' SECOND";
        String conv = "CAST(TO_TIMESTAMP_LTZ(%s, 3) AS TIMESTAMP(3))";
        if (source.startsWith("csv:")) {
            String dir = source.substring(4), w = ") WITH ('connector'='filesystem','format'='csv','path'='file://" + dir + "/";
            String time = ", `dateTime` AS " + String.format(conv, "ms") + wm;
            t.executeSql("CREATE TEMPORARY TABLE person (ms BIGINT, id BIGINT, name STRING, emailAddress STRING, creditCard STRING, city STRING, state STRING, extra STRING" + time + w + "person')");
            t.executeSql("CREATE TEMPORARY TABLE auction0 (ms BIGINT, id BIGINT, itemName STRING, description STRING, initialBid BIGINT, reserve BIGINT, expires_ms BIGINT, seller BIGINT, category BIGINT, extra STRING, expires AS " + String.format(conv, "expires_ms") + time + w + "auction')");
            t.executeSql("CREATE TEMPORARY VIEW auction AS SELECT id, itemName, description, initialBid, reserve, `dateTime`, expires, seller, category, extra FROM auction0");
            t.executeSql("CREATE TEMPORARY TABLE bid (ms BIGINT, auction BIGINT, bidder BIGINT, price BIGINT, channel STRING, url STRING, extra STRING" + time + w + "bid')");
            return;
        }
        String expires = "auction.expires";
        if (source.equals("gen")) {
            t.executeSql("CREATE TEMPORARY TABLE events (event_type INT, `dateTime` TIMESTAMP(3), " + rows + String.format(auc, "TIMESTAMP(3)") + bid + wm
                + ") WITH ('connector'='nexgen','events'='" + events + "','par'='" + par + "','seed'='" + seed + "')");
        } else {
            t.executeSql("CREATE TEMPORARY TABLE events (event_type INT, ms BIGINT, " + rows + String.format(auc, "BIGINT") + bid + ", `dateTime` AS " + String.format(conv, "ms") + wm
                + ") WITH ('connector'='filesystem','format'='json','path'='file://" + source.substring(5) + "/events')");
            expires = String.format(conv, "auction.expires");
        }
        t.executeSql("CREATE TEMPORARY VIEW person AS SELECT person.id, person.name, person.emailAddress, person.creditCard, person.city, person.state, `dateTime`, person.extra FROM events WHERE event_type = 0");
        t.executeSql("CREATE TEMPORARY VIEW auction AS SELECT auction.id, auction.itemName, auction.description, auction.initialBid, auction.reserve, `dateTime`, " + expires + " AS expires, auction.seller, auction.category, auction.extra FROM events WHERE event_type = 1");
        t.executeSql("CREATE TEMPORARY VIEW bid AS SELECT bid.auction, bid.bidder, bid.price, bid.channel, bid.url, `dateTime`, bid.extra FROM events WHERE event_type = 2");
    }

    public static void main(String[] a) throws Exception {
        String port = a[0]; String[] pids = a[1].split(","); Path sqlDir = Path.of(a[2]);
        PrintWriter out = output(a[3]);
        BufferedReader plan = plan(a[4]);
        for (String line = plan.readLine(); line != null; line = plan.readLine()) {
            line = line.trim(); if (line.isEmpty() || line.startsWith("#")) continue;
            String[] f = line.split("\\s+");
            String q = f[0], source = f[1], sink = f[4]; long events = Long.parseLong(f[2]); int par = Integer.parseInt(f[3]), reps = Integer.parseInt(f[5]);
            String extra = f.length > 6 ? f[6] : "";
            for (int rep = 0; rep < reps; rep++) {
                try {
                    Configuration c = new Configuration();
                    c.setString("execution.target", "remote"); c.setString("rest.address", "localhost"); c.setString("rest.port", port);
                    c.setString("parallelism.default", "" + par); c.setString("table.local-time-zone", "UTC"); c.setString("pipeline.object-reuse", "true");
                    c.setString("pipeline.name", q);
                    String mode = "streaming";
                    String seed = "42";
                    for (String kv : extra.split(";")) if (!kv.isEmpty()) { String[] p = kv.split("=", 2); if (p[0].equals("seed")) seed = p[1]; else if (p[0].equals("mode")) mode = p[1]; else c.setString(p[0], p[1]); }
                    EnvironmentSettings.Builder b = EnvironmentSettings.newInstance().withConfiguration(c);
                    TableEnvironment t = TableEnvironment.create((mode.equals("batch") ? b.inBatchMode() : b.inStreamingMode()).build());
                    tables(t, source, events, par, seed);
                    Table tab = t.sqlQuery(Files.readString(sqlDir.resolve(q + ".sql")).replace(";", ""));
                    for (String p : pids) Files.writeString(Path.of("/proc/" + p + "/clear_refs"), "5");
                    long c0 = cpuTicks(pids), t0 = System.nanoTime(), rows = 0; TableResult r;
                    if (sink.startsWith("golden:")) {
                        r = tab.execute();
                        TreeMap<String, Long> bag = new TreeMap<>();
                        try (CloseableIterator<Row> it = r.collect()) {
                            while (it.hasNext()) {
                                Row row = it.next(); rows++;
                                long d = row.getKind() == RowKind.INSERT || row.getKind() == RowKind.UPDATE_AFTER ? 1 : -1;
                                StringBuilder sb = new StringBuilder();
                                for (int i = 0; i < row.getArity(); i++) { if (i > 0) sb.append(','); Object v = row.getField(i); sb.append(v == null ? "\\N" : v.toString()); }
                                bag.merge(sb.toString(), d, Long::sum);
                            }
                        }
                        try (PrintWriter w = new PrintWriter(sink.substring(7))) {
                            for (Map.Entry<String, Long> e : bag.entrySet()) { if (e.getValue() < 0) throw new IllegalStateException("negative " + e); for (long i = 0; i < e.getValue(); i++) w.println(e.getKey()); }
                        }
                    } else {
                        TableDescriptor d = sink.equals("blackhole") ? TableDescriptor.forConnector("blackhole").build()
                            : TableDescriptor.forConnector("filesystem").format("csv").option("path", "file://" + sink.substring(4) + "/" + q + "-" + rep).build();
                        r = tab.insertInto(d).execute();
                        r.await();
                    }
                    double wall = (System.nanoTime() - t0) / 1e9, cpu = (cpuTicks(pids) - c0) / 100.0;
                    String j = rest(port, "/jobs/" + r.getJobClient().get().getJobID());
                    long dur = num(j, "duration");
                    out.printf("%s\t%s\t%d\t%d\t%s\t%s\t%d\t%.2f\t%.2f\t%.2f\t%.3f\t%d\t%d%n", q, source.split(":")[0], events, par, sink.split(":")[0], extra.isEmpty() ? "-" : extra, rep, wall, dur / 1e3, cpu, events / (dur / 1e3) / 1e6, hwmMb(pids), rows);
                } catch (Throwable e) {
                    Throwable x = e; while (x.getCause() != null) x = x.getCause();
                    out.printf("%s\t%s\t%d\t%d\t%s\t%s\t%d\tFAIL %s%n", q, source.split(":")[0], events, par, sink.split(":")[0], extra, rep, ("" + x.getMessage()).replaceAll("\\s+", " ").substring(0, Math.min(300, ("" + x.getMessage()).replaceAll("\\s+", " ").length())));
                    break;
                }
            }
        }
    }
}
