// SPDX-License-Identifier: Apache-2.0
package nexbench;

import org.apache.flink.api.common.eventtime.WatermarkStrategy;
import org.apache.flink.configuration.*;
import org.apache.flink.streaming.api.datastream.DataStream;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.table.connector.*;
import org.apache.flink.table.connector.source.*;
import org.apache.flink.table.data.*;
import org.apache.flink.table.data.binary.BinaryStringData;
import org.apache.flink.table.connector.ProviderContext;
import org.apache.flink.table.factories.*;
import org.apache.flink.table.runtime.typeutils.InternalTypeInfo;
import org.apache.flink.table.types.logical.RowType;
import java.util.*;

/** 'connector' = 'nexgen': the generator inside the source task. */
public class NexmarkFactory implements DynamicTableSourceFactory {
    static final ConfigOption<Long> EVENTS = ConfigOptions.key("events").longType().defaultValue(1000000L);
    static final ConfigOption<Long> SEED = ConfigOptions.key("seed").longType().defaultValue(42L);
    static final ConfigOption<Integer> PAR = ConfigOptions.key("par").intType().defaultValue(1);
    static final ConfigOption<Integer> BATCH = ConfigOptions.key("batch").intType().defaultValue(32);
    @Override public String factoryIdentifier() { return "nexgen"; }
    @Override public Set<ConfigOption<?>> requiredOptions() { return Set.of(); }
    @Override public Set<ConfigOption<?>> optionalOptions() { return Set.of(EVENTS, SEED, PAR, BATCH); }
    @Override public DynamicTableSource createDynamicTableSource(Context c) {
        FactoryUtil.TableFactoryHelper h = FactoryUtil.createTableFactoryHelper(this, c);
        h.validate();
        ReadableConfig o = h.getOptions();
        return new Src(o.get(EVENTS), o.get(SEED), o.get(PAR), o.get(BATCH),
            (RowType) c.getPhysicalRowDataType().getLogicalType());
    }

    static final class Src implements ScanTableSource {
        final long events, seed; final int par, batch; final RowType type;
        Src(long e, long s, int p, int b, RowType t) { events = e; seed = s; par = p; batch = b; type = t; }
        @Override public DynamicTableSource copy() { return new Src(events, seed, par, batch, type); }
        @Override public String asSummaryString() { return "nexgen"; }
        @Override public ChangelogMode getChangelogMode() { return ChangelogMode.insertOnly(); }
        @Override public ScanRuntimeProvider getScanRuntimeProvider(ScanContext c) {
            return new DataStreamScanProvider() {
                @Override public boolean isBounded() { return true; }
                @Override public DataStream<RowData> produceDataStream(ProviderContext pc, StreamExecutionEnvironment env) {
                    return env.fromSource(new GenSource<>(events, par, batch, new RowMaker(seed)),
                        WatermarkStrategy.noWatermarks(), "nexgen", InternalTypeInfo.of(type)).setParallelism(par);
                }
            };
        }
    }

    public static final class RowMaker implements GenSource.Maker<RowData> {
        final long seed; transient NexmarkGen g; transient NexmarkGen.Event e;
        RowMaker(long seed) { this.seed = seed; }
        static StringData s(byte[] b, int n) { return BinaryStringData.fromBytes(Arrays.copyOf(b, n)); }
        @Override public RowData make(long n) {
            if (g == null) { g = new NexmarkGen(seed); e = new NexmarkGen.Event(); }
            g.fill(n, e);
            RowData person = null, auction = null, bid = null;
            switch (e.type) {
                case 0: person = GenericRowData.of(e.id, s(e.s1, e.n1), s(e.s2, e.n2), s(e.s3, e.n3), s(e.s4, e.n4), s(e.s5, e.n5), s(e.s6, e.n6)); break;
                case 1: auction = GenericRowData.of(e.id, s(e.s1, e.n1), s(e.s2, e.n2), e.a, e.b, TimestampData.fromEpochMillis(g.expires), e.c, e.d, s(e.s6, e.n6)); break;
                default: bid = GenericRowData.of(e.id, e.a, e.b, s(e.s1, e.n1), s(e.s2, e.n2), s(e.s6, e.n6));
            }
            return GenericRowData.of(e.type, TimestampData.fromEpochMillis(e.ts), person, auction, bid);
        }
    }
}
