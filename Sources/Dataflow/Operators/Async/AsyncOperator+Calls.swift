// SPDX-License-Identifier: Apache-2.0
//  Requests, calls, completions, time-outs and retries.

import ThalwegBase
import ThalwegOperator

extension AsyncOperator {
    /// Asks for an element's response: of the cache, of a call under way for an equal request, or by a call.
    @inlinable
    func request(for entry: Entry) throws {
        let request: Request
        do { request = try plan.request(entry.input) } catch {
            try resolve(entry, .failure(error))
            return
        }
        if let response = table.cached(request, at: now) {
            metrics.cacheHits.add(1)
            try finish(entry, response)
            return
        }
        if table.hasCache { metrics.cacheMisses.add(1) }
        if let fetch = table.pending(request) {
            metrics.coalesced.add(1)
            fetch.waiters.append(entry)
            entry.fetch = fetch
            return
        }
        let fetch = Pending(request, for: entry)
        entry.fetch = fetch
        table.begin(fetch)
        submit(fetch)
    }

    /// Makes a call, at once or together with others.
    @inlinable
    func submit(_ fetch: Pending) {
        let batching = plan.settings.batching
        if batching.countMax == 1 {
            launch([fetch])
            return
        }
        forming.append(fetch)
        if forming.count >= batching.countMax {
            launchForming()
        } else if formingDue == nil {
            formingDue = now.addingReportingOverflow(batching.delayMaxMilliseconds).partialValue
        }
    }

    @inlinable
    func launchForming() {
        formingDue = nil
        let fetches = forming
        forming = []
        launch(fetches)
    }

    @inlinable
    func launch(_ all: [Pending]) {
        // Elements may have been given up while their requests waited.
        let fetches = all.filter { !$0.waiters.isEmpty }
        guard !fetches.isEmpty else { return }
        callCount += 1
        let id = callCount
        for fetch in fetches {
            fetch.attempts += 1
            fetch.call = id
        }
        metrics.calls.add(1)
        let (requests, call, mailbox) = (fetches.map { $0.request }, plan.call, mailbox)
        let handle = plan.settings.executor.start(
            {
                do {
                    let responses = try await call(requests)
                    mailbox.post(id, .success(responses))
                } catch {
                    mailbox.post(id, .failure(error))
                }
            }, on: context.processingTime)
        calls[id] = Call(fetches: fetches, live: fetches.count, started: now, handle: handle)
        if let timeout = plan.settings.timeoutMilliseconds {
            let (deadline, overflows) = now.addingReportingOverflow(timeout)
            if !overflows { callDeadlines.append((id, deadline)) }
        }
    }

    @inlinable
    func complete(_ message: CallMailbox<Response>.Message) throws {
        guard let call = calls.removeValue(forKey: message.call) else {
            metrics.lateCompletionsIgnored.add(1)
            return
        }
        metrics.callMilliseconds.add(Int(now - call.started))
        let result: Result<[Response], any Error>
        if case .success(let responses) = message.result, responses.count != call.fetches.count {
            result = .failure(
                ThalwegError(
                    .task, "a call gave another number of responses than it was asked for",
                    detail: "\(responses.count) for \(call.fetches.count)",
                    hint: "give one response for each request, in the same order"))
        } else {
            result = message.result
        }
        for (index, fetch) in call.fetches.enumerated() {
            fetch.call = nil
            guard !fetch.waiters.isEmpty else {
                metrics.lateCompletionsIgnored.add(1)
                continue
            }
            switch result {
            case .success(let responses): try complete(fetch, with: responses[index])
            case .failure(let error): try complete(fetch, with: error)
            }
        }
    }

    @inlinable
    func complete(_ fetch: Pending, with response: Response) throws {
        if let isWorthRetrying = plan.isWorthRetrying, isWorthRetrying(response), willRetry(fetch) { return }
        table.keep(response, for: fetch.request, at: now)
        table.end(fetch)
        while let entry = fetch.waiters.popFirst() { try finish(entry, response) }
    }

    @inlinable
    func complete(_ fetch: Pending, with error: any Error) throws {
        if plan.settings.retry.isWorthIt(error), willRetry(fetch) { return }
        table.end(fetch)
        while let entry = fetch.waiters.popFirst() { try resolve(entry, .failure(error)) }
    }

    @inlinable
    func finish(_ entry: Entry, _ response: Response) throws {
        try resolve(entry, Result { try plan.result(entry.input, response) })
    }

    // MARK: Once more

    /// Plans another call, if there may be one and somebody will still be waiting for it.
    @inlinable
    func willRetry(_ fetch: Pending) -> Bool {
        guard fetch.attempts < plan.settings.retry.attempts, let last = fetch.waiters.last else { return false }
        let (due, overflow) = now.addingReportingOverflow(plan.settings.retry.delay(after: fetch.attempts))
        guard !overflow && due < last.deadline else { return false }
        retries.add(fetch, at: due)
        return true
    }

    @inlinable
    func resendDue() {
        while let fetch = retries.popDue(now) {
            guard !fetch.waiters.isEmpty else { continue }
            metrics.retries.add(1)
            submit(fetch)
        }
    }

    // MARK: Too late

    /// Gives up the elements whose time is over.
    @inlinable
    func expire() throws {
        while let entry = unresolved.first, entry.deadline <= now {
            metrics.timeouts.add(1)
            if let fetch = entry.fetch {
                // All have the same time-out, so it is the first of those who share the request.
                _ = fetch.waiters.popFirst()
                if fetch.waiters.isEmpty { abandon(fetch) }
            }
            if let onTimeout = plan.onTimeout {
                try resolve(entry, Result { try onTimeout(entry.input) })
            } else {
                try resolve(entry, .failure(timeoutError))
            }
        }
    }

    /// The calls under way have a time-out of their own: elements that come for a request while a call hangs would
    /// share that for ever else. Those who still wait get another call.
    @inlinable
    func giveUpHungCalls() {
        while let (id, deadline) = callDeadlines.first, deadline <= now {
            _ = callDeadlines.popFirst()
            guard let call = calls.removeValue(forKey: id) else { continue }
            call.handle.cancel()
            for fetch in call.fetches where fetch.call == id {
                fetch.call = nil
                guard !fetch.waiters.isEmpty else { continue }
                fetch.attempts = 0
                submit(fetch)
            }
        }
    }

    /// When the oldest call under way has had time enough.
    @inlinable var nextCallDeadline: Int64? {
        while let (id, deadline) = callDeadlines.first {
            if calls[id] != nil { return deadline }
            _ = callDeadlines.popFirst()
        }
        return nil
    }

    @inlinable var timeoutError: ThalwegError {
        ThalwegError(
            .retry, "an asynchronous call took too long",
            detail: "no result within \(plan.settings.timeoutMilliseconds ?? 0) ms, all attempts together",
            hint: "raise the time-out, or give onTimeout: a result to fall back to")
    }

    /// Nobody waits for the request any more: a call for it alone is asked to end.
    @inlinable
    func abandon(_ fetch: Pending) {
        table.end(fetch)
        guard let id = fetch.call, var call = calls[id] else { return }
        call.live -= 1
        calls[id] = call.live == 0 ? nil : call
        if call.live == 0 { call.handle.cancel() }
    }
}
