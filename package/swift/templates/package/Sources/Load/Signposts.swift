#if canImport(os)
import os
#endif
#if canImport(Darwin)
import Darwin
#endif

#if canImport(os)
private let signposter = OSSignposter(subsystem: "pocketrec", category: "model")
#endif

/// An interval that Instruments shows: how long a model is checked, opened, or runs. Nothing where there are no signposts.
struct Interval {
    private let name: StaticString
    #if canImport(os)
    private let state: OSSignpostIntervalState
    #endif

    /// Begins one.
    init(_ name: StaticString) {
        self.name = name
        #if canImport(os)
        state = signposter.beginInterval(name, id: signposter.makeSignpostID())
        #endif
    }

    /// Ends it.
    func end() {
        #if canImport(os)
        signposter.endInterval(name, state)
        #endif
    }
}

extension LoadReport {
    /// Shows Instruments what loading took.
    func tell() {
        #if canImport(os)
        signposter.emitEvent(
            "Loaded", "\(seconds) s, \(modelBytes) bytes, compiled \(compiled), peak \(peakMemoryBytes ?? 0) bytes")
        #endif
    }
}

/// The most memory that the process has had, in bytes; nil where the system does not say.
func peakMemory() -> Int? {
    #if canImport(Darwin)
    var usage = rusage()
    return getrusage(RUSAGE_SELF, &usage) == 0 ? usage.ru_maxrss : nil
    #else
    return nil
    #endif
}
