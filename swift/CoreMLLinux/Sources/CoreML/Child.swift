import Dispatch
import Glibc

/// The process that answers, over one socket that is its stdin and its stdout.
///
/// A socket rather than two pipes: `send` can leave out SIGPIPE, which a write to a pipe raises in the whole
/// process. What is changed, is changed under `lock`, so that any thread may ask; hence `@unchecked`.
final class Child: @unchecked Sendable {
    private let lock = NSLock()
    private let queue = DispatchQueue(label: "pocketrec.serve-pipe")
    private let timeLimit: Double
    let process: pid_t
    private var socket: Int32
    private var ended: MLModelError?
    private var deadline = DispatchTime.now()

    /// The child, and what its first frame says.
    static func start(_ server: Server, package: String, function: String?) throws -> (Child, Reply) {
        let child = try Child(server, package: package, function: function)
        return (child, try child.exchange(nil).reply)
    }

    private init(_ server: Server, package: String, function: String?) throws {
        timeLimit = server.timeLimit
        var ends: [Int32] = [-1, -1]
        guard socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0, &ends) == 0 else {
            throw MLModelError(.io, "no socket: \(String(cString: strerror(errno)))")
        }
        socket = ends[0]
        defer { Glibc.close(ends[1]) }
        do {
            process = try Child.spawn(server.words(package: package, function: function), on: ends[1])
        } catch {
            Glibc.close(ends[0])
            throw error
        }
    }

    deinit { end() }

    /// The answer to a request; one at a time, whoever asks.
    func answer(_ request: Data) throws -> Answer { try exchange(request) }

    /// The same off the caller's thread, which waits without being blocked.
    func answer(_ request: Data) async throws -> Answer {
        try await withCheckedThrowingContinuation { continuation in
            queue.async { continuation.resume(with: Result { try self.exchange(request) }) }
        }
    }

    private func exchange(_ request: Data?) throws -> Answer {
        lock.lock()
        defer { lock.unlock() }
        if let ended { throw ended }
        deadline = .now() + timeLimit
        do {
            if let request { try send(request) }
            return try refused(receive())
        } catch let error as Stop {
            let message = "\(error.message); \(end()); load the model again"
            let fault = MLModelError(error.code, message)
            ended = fault
            throw fault
        }
    }

    /// The answer, where it is none that says why there is none.
    private func refused(_ answer: Answer) throws -> Answer {
        if answer.reply.ok { return answer }
        guard let error = answer.reply.error else { throw Stop(.generic, "pocketrec gave an error without its reason") }
        let codes: [String: MLModelError.Code] = ["InputError": .featureType, "UsageError": .io, "ArtifactError": .io]
        throw MLModelError(codes[error.kind] ?? .generic, error.message)
    }

    /// Ends the process, which keeps nothing that could be lost; how it ended.
    @discardableResult
    private func end() -> String {
        guard socket >= 0 else { return "the process was ended" }
        Glibc.close(socket)
        socket = -1
        kill(process, SIGKILL)  // one that is ending already keeps its own exit code
        var status: Int32 = 0
        while waitpid(process, &status, 0) < 0 && errno == EINTR {}
        let signal = status & 0x7F
        if signal == SIGKILL { return "its process was ended" }
        return signal == 0 ? "its exit code was \(status >> 8 & 0xFF)" : "signal \(signal) had ended it"
    }
}

/// Why nothing more can be asked of a child.
private struct Stop: Error {
    let code: MLModelError.Code
    let message: String

    init(_ code: MLModelError.Code, _ message: String) {
        self.code = code
        self.message = message
    }
}

extension Child {
    /// Sends all bytes, or until nobody reads them, which the reply then explains.
    private func send(_ data: Data) throws {
        try data.withUnsafeBytes { (bytes: UnsafeRawBufferPointer) in
            var sent = 0
            while sent < bytes.count {
                try wait(for: POLLOUT)
                let flags = Int32(MSG_NOSIGNAL) | Int32(MSG_DONTWAIT)
                let count = Glibc.send(socket, bytes.baseAddress! + sent, bytes.count - sent, flags)
                if count < 0 && errno == EPIPE { return }
                if count < 0 && !Self.isPassing(errno) { throw Stop(.io, "pocketrec cannot be asked") }
                sent += max(count, 0)
            }
        }
    }

    private func receive() throws -> Answer {
        let length = try read(4).reversed().reduce(0) { $0 << 8 | Int($1) }
        guard length <= Frame.largestHeader else { throw Stop(.generic, "pocketrec's reply is no frame") }
        guard let reply = try? JSONDecoder().decode(Reply.self, from: read(length)) else {
            throw Stop(.generic, "pocketrec's reply is no frame")
        }
        let lists = [reply.tensors ?? [], reply.states ?? []]
        let sizes = lists.joined().map(\.bytes)
        let total = sizes.reduce(0) { $0.addingReportingOverflow($1).partialValue }
        guard sizes.allSatisfy({ $0 >= 0 && $0 <= Frame.largestTensors }), (0...Frame.largestTensors).contains(total)
        else { throw Stop(.generic, "pocketrec's reply has tensors of \(total) bytes") }
        let parts = try lists.map { try $0.map { ($0, try read($0.bytes)) } }
        return Answer(reply: reply, outputs: parts[0], states: parts[1])
    }

    /// That many bytes, however many pieces they come in.
    private func read(_ count: Int) throws -> Data {
        var data = Data(count: count)
        try data.withUnsafeMutableBytes { (bytes: UnsafeMutableRawBufferPointer) in
            var done = 0
            while done < count {
                try wait(for: POLLIN)
                let got = recv(socket, bytes.baseAddress! + done, count - done, Int32(MSG_DONTWAIT))
                if got == 0 || (got < 0 && !Self.isPassing(errno)) { throw Stop(.io, "pocketrec ended without a reply") }
                done += max(got, 0)
            }
        }
        return data
    }

    private func wait(for event: Int32) throws {
        var entry = pollfd(fd: socket, events: Int16(event), revents: 0)
        while true {
            let now = DispatchTime.now().uptimeNanoseconds, end = deadline.uptimeNanoseconds
            guard now < end else { throw Stop(.io, "pocketrec did not answer within \(timeLimit) s") }
            let left = Int32(clamping: (end - now) / 1_000_000 + 1)
            let ready = poll(&entry, 1, left)
            if ready > 0 { return }
            if ready < 0 && errno != EINTR { throw Stop(.io, "pocketrec cannot be waited for") }
        }
    }

    private static func isPassing(_ number: Int32) -> Bool {
        number == EINTR || number == EAGAIN || number == EWOULDBLOCK
    }

    /// Starts the command with the socket as its stdin and stdout; nothing else is handed on.
    private static func spawn(_ words: [String], on socket: Int32) throws -> pid_t {
        var actions = posix_spawn_file_actions_t()
        var attributes = posix_spawnattr_t()
        posix_spawn_file_actions_init(&actions)
        posix_spawnattr_init(&attributes)
        defer {
            posix_spawn_file_actions_destroy(&actions)
            posix_spawnattr_destroy(&attributes)
        }
        posix_spawn_file_actions_adddup2(&actions, socket, 0)
        posix_spawn_file_actions_adddup2(&actions, socket, 1)
        var none = sigset_t()  // threads of a dispatch queue block all signals, and a child would go on with that
        sigemptyset(&none)
        posix_spawnattr_setsigmask(&attributes, &none)
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK))
        let environment = ProcessInfo.processInfo.environment.map { "\($0.key)=\($0.value)" }
        var process = pid_t()
        let failed = withPointers(words) { arguments in
            withPointers(environment) { posix_spawnp(&process, words[0], &actions, &attributes, arguments, $0) }
        }
        guard failed == 0 else {
            let reason = String(cString: strerror(failed))
            throw MLModelError(.io, "\(words[0]) cannot be started (\(reason)); install pocketrec, or set POCKETREC to its path")
        }
        return process
    }

    private static func withPointers<R>(
        _ texts: [String], _ body: (UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>) -> R
    ) -> R {
        var pointers: [UnsafeMutablePointer<CChar>?] = texts.map { strdup($0) } + [nil]
        defer { pointers.forEach { free($0) } }
        return pointers.withUnsafeMutableBufferPointer { body($0.baseAddress!) }
    }
}
