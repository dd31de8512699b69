// SPDX-License-Identifier: Apache-2.0
package nexbench;

import java.io.*;
import java.nio.charset.StandardCharsets;
import java.nio.file.*;

/**
 * Deterministic Nexmark-style event generator. Event number n (0, 1, 2, ...) is a pure function of
 * (seed, n): no hidden state, so any worker may produce any sub-sequence. Only 64-bit integer
 * arithmetic is used, so ports to other languages give the same bytes. The specification is in the
 * README of this folder.
 *
 * <p>Usage: java NexmarkGen.java SEED EVENTS OUTDIR FORMAT PARTS with FORMAT in jsonl|csv|both and
 * PARTS = number of files the stream is dealt into (event n goes to part n mod PARTS).
 */
public final class NexmarkGen {
    public static final long BASE_MS = 1436918400000L; // 2015-07-15T00:00:00Z
    public static final int EPOCH = 50, GROUP = 50, GROUP_STEP = 37;
    static final long GOLD = 0x9E3779B97F4A7C15L, C2 = 0xD1B54A32D192ED03L;
    static final String[] FIRST = {"Peter", "Paul", "Luke", "John", "Saul", "Vicky", "Kate", "Julie",
        "Sarah", "Deiter", "Walter"};
    static final String[] LAST = {"Shultz", "Abrams", "Spencer", "White", "Bartels", "Walton", "Smith",
        "Jones", "Noris"};
    static final String[] CITY = {"Phoenix", "Los Angeles", "San Francisco", "Boise", "Portland", "Bend",
        "Redmond", "Seattle", "Kent", "Cheyenne"};
    static final String[] STATE = {"AZ", "CA", "ID", "OR", "WA", "WY"};
    static final String[] HOT_CHANNEL = {"Google", "Facebook", "Baidu", "Apple"};

    public final long seed;
    public NexmarkGen(long seed) { this.seed = seed; }

    // ---- randomness: a hash of (seed, event, field)
    long r(long n, int k) {
        long z = (seed + 1) * GOLD + n * C2 + (long) k * 0xA24BAED4963EE407L;
        z = (z ^ (z >>> 30)) * 0xBF58476D1CE4E5B9L;
        z = (z ^ (z >>> 27)) * 0x94D049BB133111EBL;
        return z ^ (z >>> 31);
    }
    long pick(long n, int k, long m) { return (r(n, k) >>> 1) % m; }
    static final long[] POW = {1, 10, 100, 1000, 10000, 100000};
    long price(long n, int k) { return (100 + pick(n, k, 900)) * POW[(int) pick(n, k + 1, 6)]; }
    /** len letters 'a'..'p', 4 bits each, 16 letters per hash draw (draws k, k+1, ...). */
    int letters(long n, int k, int len, byte[] dst, int at) {
        long h = 0;
        for (int i = 0; i < len; i++) {
            if ((i & 15) == 0) h = r(n, k + (i >> 4));
            dst[at + i] = (byte) ('a' + (h & 15));
            h >>>= 4;
        }
        return at + len;
    }
    static int put(byte[] d, int at, String s) {
        for (int i = 0; i < s.length(); i++) d[at + i] = (byte) s.charAt(i);
        return at + s.length();
    }
    static int putLong(byte[] d, int at, long v) {
        int digits = 1;
        for (long t = v; t >= 10; t /= 10) digits++;
        for (int i = digits - 1; i >= 0; i--) { d[at + i] = (byte) ('0' + v % 10); v /= 10; }
        return at + digits;
    }

    // ---- structure of the stream
    /** 0 person, 1 auction, 2 bid; per 50 events: 1 person, 3 auctions, 46 bids. */
    public static int type(long n) { int o = (int) (n % EPOCH); return o < 1 ? 0 : o < 4 ? 1 : 2; }
    public static long timeMs(long n) {
        long g = n / GROUP;
        return BASE_MS + g * GROUP + ((n % GROUP) * GROUP_STEP) % GROUP;
    }
    static long lastPerson(long n) { return n / EPOCH; }
    static long lastAuction(long n) {
        long e = n / EPOCH; int o = (int) (n % EPOCH);
        return o < 1 ? e * 3 - 1 : o < 4 ? e * 3 + o - 1 : e * 3 + 2;
    }
    long coldPerson(long n, int k) {
        long last = lastPerson(n), active = Math.min(last, 1000);
        return last - active + pick(n, k, active + 10);
    }

    // ---- one decoded event, reused
    public static final class Event {
        public int type; public long ts;
        public long id, a, b, c, d; // see fill()
        public byte[] s1 = new byte[160], s2 = new byte[160], s3 = new byte[160], s4 = new byte[160],
            s5 = new byte[160], s6 = new byte[160];
        public int n1, n2, n3, n4, n5, n6;
    }

    /**
     * person : id; s1 name, s2 email, s3 credit card, s4 city, s5 state, s6 extra.
     * auction: id, a initialBid, b reserve, c seller, d category, and the field `expires`; s1 itemName,
     * s2 description, s6 extra. bid: id auction, a bidder, b price; s1 channel, s2 url, s6 extra.
     */
    public long expires;
    public void fill(long n, Event e) {
        e.type = type(n);
        e.ts = timeMs(n);
        switch (e.type) {
            case 0: {
                e.id = 1000 + lastPerson(n);
                int p = put(e.s1, 0, FIRST[(int) pick(n, 1, 11)]);
                e.s1[p++] = ' ';
                e.n1 = put(e.s1, p, LAST[(int) pick(n, 2, 9)]);
                p = letters(n, 3, 7, e.s2, 0);
                e.s2[p++] = '@';
                p = letters(n, 4, 5, e.s2, p);
                e.n2 = put(e.s2, p, ".com");
                p = 0;
                for (int i = 0; i < 4; i++) {
                    if (i > 0) e.s3[p++] = ' ';
                    long v = pick(n, 5 + i, 10000);
                    e.s3[p++] = (byte) ('0' + v / 1000); e.s3[p++] = (byte) ('0' + v / 100 % 10);
                    e.s3[p++] = (byte) ('0' + v / 10 % 10); e.s3[p++] = (byte) ('0' + v % 10);
                }
                e.n3 = p;
                e.n4 = put(e.s4, 0, CITY[(int) pick(n, 9, 10)]);
                e.n5 = put(e.s5, 0, STATE[(int) pick(n, 10, 6)]);
                e.n6 = letters(n, 12, 50 + (int) pick(n, 11, 20), e.s6, 0);
                break;
            }
            case 1: {
                long last = lastAuction(n);
                e.id = 1000 + last;
                e.a = price(n, 1);
                e.b = e.a + price(n, 3);
                // mean time until 100 more auctions have opened is 100*50/3 events of 1 ms
                expires = e.ts + 1 + pick(n, 5, 2 * 1666);
                long sellerBase = pick(n, 6, 4) > 0 ? lastPerson(n) / 100 * 100 : coldPerson(n, 7);
                e.c = 1000 + sellerBase;
                e.d = 10 + pick(n, 8, 5);
                e.n1 = letters(n, 10, 10 + (int) pick(n, 9, 10), e.s1, 0);
                e.n2 = letters(n, 13, 40 + (int) pick(n, 12, 40), e.s2, 0);
                e.n6 = letters(n, 21, 60 + (int) pick(n, 20, 40), e.s6, 0);
                break;
            }
            default: {
                long last = lastAuction(n);
                long base;
                if (pick(n, 1, 2) > 0) base = last / 100 * 100;
                else { long lo = Math.max(last - 100, 0); base = lo + pick(n, 2, last - lo + 1 + 10); }
                e.id = 1000 + base;
                long bidder = pick(n, 3, 4) > 0 ? lastPerson(n) / 100 * 100 + 1 : coldPerson(n, 4);
                e.a = 1000 + bidder;
                e.b = price(n, 5);
                int p = put(e.s2, 0, "https://www.nexmark.com/");
                p = letters(n, 9, 5, e.s2, p); e.s2[p++] = '/';
                p = letters(n, 10, 5, e.s2, p); e.s2[p++] = '/';
                p = letters(n, 11, 5, e.s2, p);
                p = put(e.s2, p, "/item.htm?query=1");
                if (pick(n, 7, 2) > 0) {
                    e.n1 = put(e.s1, 0, HOT_CHANNEL[(int) pick(n, 8, 4)]);
                } else {
                    long c = pick(n, 8, 10000);
                    e.n1 = putLong(e.s1, put(e.s1, 0, "channel-"), c);
                    if (c % 10 != 0) p = putLong(e.s2, put(e.s2, p, "&channel_id="), c * 104729 % 1000003);
                }
                e.n2 = p;
                e.n6 = letters(n, 13, 10 + (int) pick(n, 12, 20), e.s6, 0);
            }
        }
    }

    // ---- text forms
    static final class Out {
        byte[] b = new byte[1 << 20]; int p = 0; final OutputStream o;
        Out(OutputStream o) { this.o = o; }
        void str(String s) { p = put(b, p, s); }
        void num(long v) { p = putLong(b, p, v); }
        void raw(byte[] s, int n) { System.arraycopy(s, 0, b, p, n); p += n; }
        void end() throws IOException { b[p++] = '\n'; if (p > b.length - 4096) flush(); }
        void flush() throws IOException { o.write(b, 0, p); p = 0; }
        void close() throws IOException { flush(); o.close(); }
    }

    void json(Event e, Out w) {
        w.str("{\"event_type\":"); w.num(e.type); w.str(",\"ms\":"); w.num(e.ts);
        if (e.type == 0) {
            w.str(",\"person\":{\"id\":"); w.num(e.id);
            w.str(",\"name\":\""); w.raw(e.s1, e.n1); w.str("\",\"emailAddress\":\""); w.raw(e.s2, e.n2);
            w.str("\",\"creditCard\":\""); w.raw(e.s3, e.n3); w.str("\",\"city\":\""); w.raw(e.s4, e.n4);
            w.str("\",\"state\":\""); w.raw(e.s5, e.n5);
        } else if (e.type == 1) {
            w.str(",\"auction\":{\"id\":"); w.num(e.id);
            w.str(",\"itemName\":\""); w.raw(e.s1, e.n1); w.str("\",\"description\":\""); w.raw(e.s2, e.n2);
            w.str("\",\"initialBid\":"); w.num(e.a); w.str(",\"reserve\":"); w.num(e.b);
            w.str(",\"expires\":"); w.num(expires); w.str(",\"seller\":"); w.num(e.c);
            w.str(",\"category\":"); w.num(e.d);
        } else {
            w.str(",\"bid\":{\"auction\":"); w.num(e.id); w.str(",\"bidder\":"); w.num(e.a);
            w.str(",\"price\":"); w.num(e.b); w.str(",\"channel\":\""); w.raw(e.s1, e.n1);
            w.str("\",\"url\":\""); w.raw(e.s2, e.n2);
        }
        w.str(e.type == 1 ? ",\"extra\":\"" : "\",\"extra\":\"");
        w.raw(e.s6, e.n6); w.str("\"}}");
    }

    void csv(Event e, Out w) {
        w.num(e.ts); w.str(","); w.num(e.id);
        if (e.type == 0) {
            w.str(","); w.raw(e.s1, e.n1); w.str(","); w.raw(e.s2, e.n2); w.str(","); w.raw(e.s3, e.n3);
            w.str(","); w.raw(e.s4, e.n4); w.str(","); w.raw(e.s5, e.n5);
        } else if (e.type == 1) {
            w.str(","); w.raw(e.s1, e.n1); w.str(","); w.raw(e.s2, e.n2); w.str(","); w.num(e.a);
            w.str(","); w.num(e.b); w.str(","); w.num(expires); w.str(","); w.num(e.c);
            w.str(","); w.num(e.d);
        } else {
            w.str(","); w.num(e.a); w.str(","); w.num(e.b); w.str(","); w.raw(e.s1, e.n1);
            w.str(","); w.raw(e.s2, e.n2);
        }
        w.str(","); w.raw(e.s6, e.n6);
    }

    public static void main(String[] x) throws IOException {
        if (x.length == 2) { // speed of the generator alone
            NexmarkGen g = new NexmarkGen(Long.parseLong(x[0])); long N = Long.parseLong(x[1]); Event e = new Event();
            for (int rep = 0; rep < 4; rep++) {
                long t = System.nanoTime(), s = 0;
                for (long n = 0; n < N; n++) { g.fill(n, e); s += e.id + e.n6 + e.s6[3]; }
                t = System.nanoTime() - t;
                System.out.printf("generator only: %d events %.3f s %.2f M/s (%d)%n", N, t / 1e9, N * 1e3 / t, s);
            }
            return;
        }
        long seed = Long.parseLong(x[0]), events = Long.parseLong(x[1]);
        Path dir = Paths.get(x[2]); String fmt = x[3]; int parts = Integer.parseInt(x[4]);
        Files.createDirectories(dir);
        boolean j = !fmt.equals("csv"), c = !fmt.equals("jsonl");
        String[] kind = {"person", "auction", "bid"};
        Out[] js = new Out[parts]; Out[][] cs = new Out[parts][3];
        for (int i = 0; i < parts; i++) {
            if (j) { Path d = dir.resolve("events"); Files.createDirectories(d); js[i] = new Out(Files.newOutputStream(d.resolve("part-" + i + ".jsonl"))); }
            if (c) for (int k = 0; k < 3; k++) { Path d = dir.resolve(kind[k]); Files.createDirectories(d); cs[i][k] = new Out(Files.newOutputStream(d.resolve("part-" + i + ".csv"))); }
        }
        NexmarkGen g = new NexmarkGen(seed); Event e = new Event();
        for (long n = 0; n < events; n++) {
            g.fill(n, e); int i = (int) (n % parts);
            if (j) { g.json(e, js[i]); js[i].end(); }
            if (c) { g.csv(e, cs[i][e.type]); cs[i][e.type].end(); }
        }
        for (int i = 0; i < parts; i++) { if (j) js[i].close(); if (c) for (Out o : cs[i]) o.close(); }
    }
}
