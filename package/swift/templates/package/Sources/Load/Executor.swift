import Dispatch

/// Runs the work of one actor, one job after another, on a queue of its own: a model that computes for long takes no
/// thread from Swift's own pool.
final class ModelExecutor: SerialExecutor {
    private let queue = DispatchQueue(label: "pocketrec.model", qos: .userInitiated)

    #if os(Linux)
    func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        queue.async { job.runSynchronously(on: self.asUnownedSerialExecutor()) }
    }
    #else
    // The form that iOS 16 has, too.
    func enqueue(_ job: UnownedJob) {
        queue.async { job.runSynchronously(on: self.asUnownedSerialExecutor()) }
    }
    #endif

    func asUnownedSerialExecutor() -> UnownedSerialExecutor {
        UnownedSerialExecutor(ordinary: self)
    }
}
