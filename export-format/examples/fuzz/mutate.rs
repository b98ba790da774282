//! Inputs that are nearly right, from a seed.

/// Words that parsers look for; one of them in the wrong place does more than a random byte.
const WORDS: &[&[u8]] = &[
    b"PK\x03\x04",
    b"PK\x01\x02",
    b"PK\x05\x06",
    b"PK\x06\x06",
    b"PK\x06\x07",
    b"\xff\xff\xff\xff",
    b"\xff\xff",
    b"\0\0\0\0",
    b"data/",
    b"../",
    b"./",
    b"\n",
    b"\r\n",
    b"  ",
    b" *",
    b"%0A",
    b"{}",
    b"[]",
    b"[[[[[[[[",
    b"\"$int\":",
    b"\"$bytes\":",
    b"\"$blob\":",
    b"\"$$",
    b"\"_id\":",
    b"9007199254740993",
    b"1e21",
    b"-0",
    b"5e-324",
    b"1424953923781206.25",
    b"0.1",
    b"\\u0000",
    b"\\ud800",
    b"\xef\xbb\xbf",
    b"\xc3\x9f",
    b"\xe1\xba\x9e",
    b"\xcc\x88",
    b"null",
    b"true",
    b"age-encryption.org/v1\n",
    b"-> X25519 ",
    b"--- ",
    b"https://",
    b"file:///",
    b"169.254.169.254",
    b"::1",
];

/// Makes the next input out of those there are.
pub(crate) struct Mutator(u64);

impl Mutator {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed ^ 0x9e37_79b9_7f4a_7c15)
    }

    /// SplitMix64.
    fn random(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        (self.random() % end.max(1) as u64) as usize
    }

    pub(crate) fn next(&mut self, seeds: &[Vec<u8>]) -> Vec<u8> {
        let mut input = seeds[self.below(seeds.len())].clone();
        for _ in 0..=self.below(4) {
            self.spoil(&mut input, seeds);
        }
        input
    }

    fn spoil(&mut self, input: &mut Vec<u8>, seeds: &[Vec<u8>]) {
        let at = self.below(input.len() + 1);
        match self.below(9) {
            0 | 1 if !input.is_empty() => {
                let at = at.min(input.len() - 1);
                input[at] ^= 1 << self.below(8);
            }
            2 if !input.is_empty() => {
                let at = at.min(input.len() - 1);
                input[at] = self.random() as u8;
            }
            3 => input.truncate(at),
            4 => {
                let end = (at + 1 + self.below(16)).min(input.len());
                input.drain(at.min(end)..end);
            }
            5 | 6 => {
                let word = WORDS[self.below(WORDS.len())];
                let end = if self.below(2) == 0 { at } else { (at + word.len()).min(input.len()) };
                input.splice(at..end, word.iter().copied());
            }
            7 => {
                let other = &seeds[self.below(seeds.len())];
                let from = self.below(other.len() + 1);
                let to = (from + self.below(64)).min(other.len());
                input.splice(at..at, other[from..to].iter().copied());
            }
            _ => {
                // A small number nearby, as lengths and counts are.
                if !input.is_empty() {
                    let at = at.min(input.len() - 1);
                    input[at] = input[at].wrapping_add(self.below(5) as u8).wrapping_sub(2);
                }
            }
        }
    }
}
