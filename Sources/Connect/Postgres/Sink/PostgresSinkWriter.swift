// SPDX-License-Identifier: Apache-2.0
//  Turns the records of one subtask into rows for its writer thread.

#if Postgres
    import ThalwegBase
    import ThalwegData
    import ThalwegFormats
    import ThalwegOperator

    /// Encodes rows on the task's thread; the session with the server belongs to a thread of its own.
    public final class PostgresSinkWriter<Element: Codable & Sendable>: SinkWriter {
        /// The encoded rows that go to the server as one piece.
        static var pieceBytes: Int { 256 << 10 }

        private let encoder: any RecordWriter<Element>
        let courier: PostgresCourier
        private let context: SinkContext
        private var buffer = OutputBuffer()
        private var bufferRows: Int64 = 0
        private var intervalRows: Int64 = 0
        private var batch: Int64 = 0
        private var restored: [PostgresWriterState] = []
        private var isStarted = false
        private let columns: [String]

        init(_ sink: PostgresSink<Element>, _ context: SinkContext, _ encoder: any RecordWriter<Element>) {
            self.context = context
            self.encoder = encoder
            columns = sink.table.columns
            courier = PostgresCourier(
                PostgresDesk(
                    connection: sink.connection, table: sink.table, id: sink.id, mode: sink.mode,
                    subtask: context.subtask, parallelism: context.parallelism),
                queueBytesMax: sink.queueBytesMax, wake: context.wake)
            courier.start()
        }

        deinit { courier.close() }

        public func restore(_ states: [[PostgresWriterState]]) { restored = states.flatMap(\.self) }

        /// What restored checkpoints count on is known by the first record or barrier: the rest may then be dropped.
        private func start() {
            guard !isStarted else { return }
            isStarted = true
            courier.clean(keeping: restored)
        }

        /// Until the server has answered first, and while it falls behind.
        public var isHeldUp: Bool { courier.isHeldUp }

        public func write(_ batch: Batch<Element>) throws {
            start()
            try courier.check()
            try encoder.write(UnsafeBufferPointer(start: batch.rows, count: batch.count), to: &buffer)
            bufferRows += Int64(batch.count)
            if buffer.count >= Self.pieceBytes { send() }
        }

        private func send() {
            guard bufferRows > 0 else { return }
            courier.send(buffer.array, rows: bufferRows)
            intervalRows += bufferRows
            buffer.removeAll()
            bufferRows = 0
        }

        public func prepare(
            _ request: PrepareRequest
        ) throws -> PreparedOutput<PostgresCommittable, PostgresWriterState> {
            start()
            try courier.check()
            send()
            guard intervalRows > 0 else {
                // A writer that has not met the server has written nothing: the checkpoint counts on what it did.
                let state = courier.tokenIfKnown.map { [PostgresWriterState(token: $0, batch: batch)] }
                return PreparedOutput(state: state ?? restored)
            }
            batch += 1
            // Waits in the first moments of a job only: a writer whose server has not answered is held up.
            let token = try courier.token()
            let number = batch
            let (name, staging) = courier.seal(number, token: token)
            let committable = PostgresCommittable(batch: name, rows: intervalRows, staging: staging, columns: columns)
            intervalRows = 0
            return PreparedOutput(
                committables: [committable], state: [PostgresWriterState(token: token, batch: number)],
                persist: { [courier] in try courier.awaitSeal(number) })
        }

        public func close() { courier.close() }
    }
#endif
