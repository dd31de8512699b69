// SPDX-License-Identifier: Apache-2.0
package nexbench;

import org.apache.flink.api.common.eventtime.WatermarkStrategy;
import org.apache.flink.api.connector.source.*;
import org.apache.flink.api.connector.source.lib.NumberSequenceSource;
import org.apache.flink.api.connector.source.lib.NumberSequenceSource.NumberSequenceSplit;
import org.apache.flink.api.connector.source.lib.util.IteratorSourceReaderBase;
import org.apache.flink.core.io.InputStatus;
import org.apache.flink.core.io.SimpleVersionedSerializer;
import org.apache.flink.util.NumberSequenceIterator;
import java.io.Serializable;
import java.util.Collection;

/** Bounded FLIP-27 source: numbers 0..N-1 dealt round-robin over p workers, mapped by a function. */
public class GenSource<T> implements Source<T, NumberSequenceSplit, Collection<NumberSequenceSplit>> {
    public interface Maker<T> extends Serializable { T make(long n); default void open() {} }

    final NumberSequenceSource seq; final long perWorker; final int p, batch; final Maker<T> maker;

    public GenSource(long events, int p, int batch, Maker<T> maker) {
        this.perWorker = events / p; this.p = p; this.batch = batch; this.maker = maker;
        this.seq = new NumberSequenceSource(0, perWorker * p - 1);
    }
    @Override public Boundedness getBoundedness() { return Boundedness.BOUNDED; }
    @Override public SourceReader<T, NumberSequenceSplit> createReader(SourceReaderContext c) {
        maker.open();
        return new Reader<>(c, maker, perWorker, p, batch);
    }
    @Override public SplitEnumerator<NumberSequenceSplit, Collection<NumberSequenceSplit>> createEnumerator(
            SplitEnumeratorContext<NumberSequenceSplit> c) { return seq.createEnumerator(c); }
    @Override public SplitEnumerator<NumberSequenceSplit, Collection<NumberSequenceSplit>> restoreEnumerator(
            SplitEnumeratorContext<NumberSequenceSplit> c, Collection<NumberSequenceSplit> s) {
        return seq.restoreEnumerator(c, s);
    }
    @Override public SimpleVersionedSerializer<NumberSequenceSplit> getSplitSerializer() { return seq.getSplitSerializer(); }
    @Override public SimpleVersionedSerializer<Collection<NumberSequenceSplit>> getEnumeratorCheckpointSerializer() {
        return seq.getEnumeratorCheckpointSerializer();
    }

    static final class Reader<T> extends IteratorSourceReaderBase<Long, T, NumberSequenceIterator, NumberSequenceSplit> {
        final Maker<T> maker; final long per; final int p, batch;
        Reader(SourceReaderContext c, Maker<T> m, long per, int p, int batch) {
            super(c); maker = m; this.per = per; this.p = p; this.batch = batch;
        }
        @Override protected T convert(Long i) { long v = i; return maker.make(v % per * p + v / per); }
        @Override public InputStatus pollNext(ReaderOutput<T> out) {
            for (int i = 1; i < batch; i++) {
                InputStatus s = super.pollNext(out);
                if (s != InputStatus.MORE_AVAILABLE) return s;
            }
            return super.pollNext(out);
        }
    }
}
