import Foundation

#if canImport(CryptoKit)
import CryptoKit

/// The sha256 of bytes that come part by part.
struct Digest {
    private var hash = SHA256()

    /// Takes the next bytes.
    mutating func update(_ data: Data) {
        hash.update(data: data)
    }

    /// The digest as small hexadecimal digits.
    func finish() -> String {
        hex(hash.finalize())
    }
}
#else
/// The sha256 of bytes that come part by part, where the system has none.
///
/// Pointers and plain loops, because a build that is not optimized calls a function for all else: with ranges
/// and buffers, 45 MB of weights took it minutes.
///
/// Source: FIPS 180-4, "Secure Hash Standard", 6.2.
struct Digest {
    private var state: [UInt32] = [
        0x6a09_e667, 0xbb67_ae85, 0x3c6e_f372, 0xa54f_f53a, 0x510e_527f, 0x9b05_688c, 0x1f83_d9ab, 0x5be0_cd19,
    ]
    private var waiting: [UInt8] = []
    private var count: UInt64 = 0

    /// Takes the next bytes.
    mutating func update(_ data: Data) {
        count &+= UInt64(data.count)
        waiting.append(contentsOf: data)
        let whole = waiting.count / 64 * 64
        waiting.withUnsafeBufferPointer { bytes in
            guard let start = bytes.baseAddress else { return }
            state.withUnsafeMutableBufferPointer { state in
                guard let state = state.baseAddress else { return }
                mix(start, blocks: whole / 64, into: state)
            }
        }
        waiting.removeFirst(whole)
    }

    /// The digest as small hexadecimal digits.
    func finish() -> String {
        var last = self
        let zeros = (119 - waiting.count % 64) % 64
        let bits = (count &* 8).bigEndian
        last.update(Data([0x80] + [UInt8](repeating: 0, count: zeros) + withUnsafeBytes(of: bits) { Array($0) }))
        return hex(last.state.flatMap { word in withUnsafeBytes(of: word.bigEndian) { Array($0) } })
    }
}

private func mix(_ bytes: UnsafePointer<UInt8>, blocks: Int, into state: UnsafeMutablePointer<UInt32>) {
    constants.withUnsafeBufferPointer { constants in
        guard let constants = constants.baseAddress else { return }
        withUnsafeTemporaryAllocation(of: UInt32.self, capacity: 64) { words in
            guard let words = words.baseAddress else { return }
            var block = 0
            while block < blocks {
                schedule(bytes + 64 * block, into: words)
                rounds(words, constants, into: state)
                block &+= 1
            }
        }
    }
}

private func schedule(_ block: UnsafePointer<UInt8>, into words: UnsafeMutablePointer<UInt32>) {
    var place = 0
    while place < 16 {
        let byte = block + 4 * place
        words[place] = UInt32(byte[0]) << 24 | UInt32(byte[1]) << 16 | UInt32(byte[2]) << 8 | UInt32(byte[3])
        place &+= 1
    }
    while place < 64 {
        let (early, late) = (words[place &- 15], words[place &- 2])
        let first = turned(early, 7) ^ turned(early, 18) ^ early &>> 3
        let second = turned(late, 17) ^ turned(late, 19) ^ late &>> 10
        words[place] = words[place &- 16] &+ first &+ words[place &- 7] &+ second
        place &+= 1
    }
}

private func rounds(
    _ words: UnsafeMutablePointer<UInt32>, _ constants: UnsafePointer<UInt32>, into state: UnsafeMutablePointer<UInt32>
) {
    var (a, b, c, d) = (state[0], state[1], state[2], state[3])
    var (e, f, g, h) = (state[4], state[5], state[6], state[7])
    var place = 0
    while place < 64 {
        let choice = (e & f) ^ (~e & g)
        let one = h &+ (turned(e, 6) ^ turned(e, 11) ^ turned(e, 25)) &+ choice &+ constants[place] &+ words[place]
        let majority = (a & b) ^ (a & c) ^ (b & c)
        let two = (turned(a, 2) ^ turned(a, 13) ^ turned(a, 22)) &+ majority
        h = g
        g = f
        f = e
        e = d &+ one
        d = c
        c = b
        b = a
        a = one &+ two
        place &+= 1
    }
    state[0] &+= a
    state[1] &+= b
    state[2] &+= c
    state[3] &+= d
    state[4] &+= e
    state[5] &+= f
    state[6] &+= g
    state[7] &+= h
}

private func turned(_ word: UInt32, _ bits: UInt32) -> UInt32 {
    word &>> bits | word &<< (32 &- bits)
}

private let constants: [UInt32] = [
    0x428a_2f98, 0x7137_4491, 0xb5c0_fbcf, 0xe9b5_dba5, 0x3956_c25b, 0x59f1_11f1, 0x923f_82a4, 0xab1c_5ed5,
    0xd807_aa98, 0x1283_5b01, 0x2431_85be, 0x550c_7dc3, 0x72be_5d74, 0x80de_b1fe, 0x9bdc_06a7, 0xc19b_f174,
    0xe49b_69c1, 0xefbe_4786, 0x0fc1_9dc6, 0x240c_a1cc, 0x2de9_2c6f, 0x4a74_84aa, 0x5cb0_a9dc, 0x76f9_88da,
    0x983e_5152, 0xa831_c66d, 0xb003_27c8, 0xbf59_7fc7, 0xc6e0_0bf3, 0xd5a7_9147, 0x06ca_6351, 0x1429_2967,
    0x27b7_0a85, 0x2e1b_2138, 0x4d2c_6dfc, 0x5338_0d13, 0x650a_7354, 0x766a_0abb, 0x81c2_c92e, 0x9272_2c85,
    0xa2bf_e8a1, 0xa81a_664b, 0xc24b_8b70, 0xc76c_51a3, 0xd192_e819, 0xd699_0624, 0xf40e_3585, 0x106a_a070,
    0x19a4_c116, 0x1e37_6c08, 0x2748_774c, 0x34b0_bcb5, 0x391c_0cb3, 0x4ed8_aa4a, 0x5b9c_ca4f, 0x682e_6ff3,
    0x748f_82ee, 0x78a5_636f, 0x84c8_7814, 0x8cc7_0208, 0x90be_fffa, 0xa450_6ceb, 0xbef9_a3f7, 0xc671_78f2,
]
#endif

/// The sha256 of a text's UTF-8.
func sha256(of text: String) -> String {
    var digest = Digest()
    digest.update(Data(text.utf8))
    return digest.finish()
}

private func hex(_ bytes: some Sequence<UInt8>) -> String {
    var text = ""
    for byte in bytes {
        let digits = String(byte, radix: 16)
        text += digits.count < 2 ? "0" + digits : digits
    }
    return text
}
