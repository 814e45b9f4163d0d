//! What was read, in 64 bits: enough to tell whether two results come from the same input.

/// FNV-1a (Fowler, Noll, Vo; RFC 9923), 64 bits.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fingerprint(u64);

impl Fingerprint {
    /// Of nothing.
    pub(super) fn new() -> Self {
        Fingerprint(0xcbf2_9ce4_8422_2325)
    }

    /// Takes in the next bytes.
    pub(super) fn add(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    /// Of all bytes so far.
    pub(super) fn value(self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Vectors of the authors' reference implementation.
    #[test]
    fn fingerprints_meet_the_reference() {
        for (text, value) in
            [("", 0xcbf2_9ce4_8422_2325), ("a", 0xaf63_dc4c_8601_ec8c), ("foobar", 0x8594_4171_f739_67e8)]
        {
            let mut fingerprint = Fingerprint::new();
            fingerprint.add(text.as_bytes());
            assert_eq!(fingerprint.value(), value, "{text}");
        }
    }
}
