/// A model's way from absent to ready, which many callers share.
///
/// The model is loaded once, however many ask for it. The work ends early when the last of those who wait for it is
/// cancelled; after a failure, or after ``reset()``, the next call begins again.
public actor Loader<Model: Sendable> {
    typealias Start = @Sendable (@escaping @Sendable (LoadState) -> Void) async throws -> Model

    private struct Running {
        let number: Int
        let task: Task<Model, any Error>
        var waiting = 0
    }

    private let start: Start
    private var running: Running?
    private var begun = 0
    private var listeners: [Int: AsyncStream<LoadState>.Continuation] = [:]
    private var listened = 0

    /// How far it is.
    public private(set) var state = LoadState.absent

    init(start: @escaping Start) {
        self.start = start
    }

    /// How many wait for the model.
    var waiting: Int { running?.waiting ?? 0 }

    /// The states from now on, the present one first. They end with the task that reads them, not when the model is ready,
    /// and nothing is loaded for them: ``load()`` is called by another task.
    public var states: AsyncStream<LoadState> {
        let (stream, continuation) = AsyncStream.makeStream(of: LoadState.self, bufferingPolicy: .bufferingNewest(64))
        listened += 1
        let number = listened
        listeners[number] = continuation
        continuation.onTermination = { [weak self] _ in
            Task { await self?.leave(listener: number) }
        }
        continuation.yield(state)
        return stream
    }

    /// The model; of several calls the first loads it.
    ///
    /// - Throws: ``LoadError``, and `CancellationError` where the caller's task is cancelled.
    public func load() async throws -> Model {
        try Task.checkCancellation()
        let number = join()
        guard let task = running?.task else { throw CancellationError() }
        let gate = Gate<Model>()
        let waiter = Task { await gate.open(task.result) }
        let result = await withTaskCancellationHandler {
            await gate.value
        } onCancel: {
            Task { await gate.open(.failure(CancellationError())) }
        }
        waiter.cancel()
        leave(number, cancelled: Task.isCancelled)
        return try result.get()
    }

    /// Forgets the model, so that the next call loads it again; it is not disposed.
    public func reset() {
        running?.task.cancel()
        running = nil
        tell(.absent)
    }

    /// The number of the loading that the caller waits for; a new one where there is none.
    private func join() -> Int {
        if running == nil {
            begun += 1
            let number = begun
            let start = start
            running = Running(
                number: number,
                task: Task { [weak self] in
                    let (steps, continuation) = AsyncStream.makeStream(of: LoadState.self)
                    let telling = Task { [weak self] in for await state in steps { await self?.tell(state, of: number) } }
                    do {
                        let model = try await start { continuation.yield($0) }
                        continuation.finish()
                        await telling.value
                        return model
                    } catch {
                        continuation.finish()
                        await telling.value
                        await self?.fail(error, of: number)
                        throw error
                    }
                })
        }
        running?.waiting += 1
        return begun
    }

    /// One waits no longer; where none does, and the model is not ready, the work ends.
    private func leave(_ number: Int, cancelled: Bool) {
        guard running?.number == number else { return }
        running?.waiting -= 1
        if cancelled, running?.waiting == 0, state != .ready { reset() }
    }

    private func leave(listener number: Int) {
        listeners[number] = nil
    }

    private func fail(_ error: any Error, of number: Int) {
        guard running?.number == number else { return }
        running = nil
        let failed = failure(of: error)
        tell((failed as? LoadError).map(LoadState.failed) ?? .absent)
    }

    private func tell(_ state: LoadState, of number: Int) {
        if running?.number == number { tell(state) }
    }

    private func tell(_ state: LoadState) {
        self.state = state
        for each in listeners.values { each.yield(state) }
    }
}

/// A result that one waits for and whoever comes first brings.
private actor Gate<Value: Sendable> {
    private var result: Result<Value, any Error>?
    private var waiting: CheckedContinuation<Result<Value, any Error>, Never>?

    var value: Result<Value, any Error> {
        get async {
            if let result { return result }
            return await withCheckedContinuation { waiting = $0 }
        }
    }

    func open(_ result: Result<Value, any Error>) {
        guard self.result == nil else { return }
        self.result = result
        waiting?.resume(returning: result)
        waiting = nil
    }
}
