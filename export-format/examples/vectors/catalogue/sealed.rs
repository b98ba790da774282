//! Archives sealed whole, sound and damaged. All open with the identity at the head of the index, but for one.

use age_core::primitives::hkdf;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use export_format::Digest;
use export_format::finding::Code;
use export_format::sealed::Envelope;

use super::forge::{Forge, item};

/// An envelope for [`made::SEALED_FOR`](super::made::SEALED_FOR), made once, because making one anew gives another each time.
const OURS: &[u8] = include_bytes!("envelope");
/// One for a key that nobody has kept.
const ANOTHERS: &[u8] = include_bytes!("envelope-of-another");

/// A sealed archive and the verdict on it.
pub(crate) struct SealedVector {
    pub(crate) name: String,
    /// The clause of SPEC.md it stands for.
    pub(crate) clause: &'static str,
    /// What there is to see, in words.
    pub(crate) says: &'static str,
    /// The sealed file's bytes.
    pub(crate) bytes: Vec<u8>,
    /// What a reader reports at least.
    pub(crate) codes: Vec<Code>,
    /// The archive inside, if it can be had.
    pub(crate) gives: Option<Vec<u8>>,
}

pub(crate) fn all() -> Vec<SealedVector> {
    let vector = |name: &str, clause, says, bytes: Vec<u8>, gives: Option<Vec<u8>>| SealedVector {
        name: format!("sealed/{name}"),
        clause,
        says,
        codes: if gives.is_some() { vec![] } else { vec![Code::Read] },
        bytes,
        gives,
    };
    let tiny = Forge::tiny().write();
    let sealed = seal(OURS, &tiny);
    let plain = tiny.clone();
    let long = Forge::tiny().with(item("data/noise", &noise(66_000))).resign().write();
    let two = seal(OURS, &long);
    let header = sealed.windows(5).position(|window| window == b"\n--- ").unwrap();
    let chunk = two.len() - (long.len() % 65_536) - 16;
    let flipped = |at: usize| {
        let mut bytes = sealed.clone();
        bytes[at] ^= 1;
        bytes
    };
    let armour = STANDARD.encode(&sealed);
    let lines: Vec<&str> = armour.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
    let armoured =
        format!("-----BEGIN AGE ENCRYPTED FILE-----\n{}\n-----END AGE ENCRYPTED FILE-----\n", lines.join("\n"));
    let mut all = vec![
        vector("minimal", "11.1", "a small archive, sealed to a key", sealed.clone(), Some(tiny)),
        vector("two-chunks", "11.4", "an archive that needs two chunks", two.clone(), Some(long)),
        vector("cut-by-one", "11.5", "the last byte is missing", sealed[..sealed.len() - 1].to_vec(), None),
        vector("cut-at-a-chunk", "11.5", "the second of two chunks is missing", two[..chunk].to_vec(), None),
        vector(
            "cut-behind-the-header",
            "11.5",
            "there is a header and nothing else",
            sealed[..header + 49].to_vec(),
            None,
        ),
        vector("trailing", "11.5", "a byte stands behind the last chunk", [&sealed[..], b"x"].concat(), None),
        vector("changed", "11.5", "a byte of the content was changed", flipped(sealed.len() - 40), None),
        vector("changed-code", "11.5", "a byte of a chunk's code was changed", flipped(sealed.len() - 1), None),
        vector("changed-nonce", "11.5", "a byte of the nonce was changed", flipped(header + 50), None),
        vector("changed-header", "11.5", "the code of the header was changed", flipped(header + 10), None),
        vector("armoured", "11.1", "it is in age's armoured form", armoured.into_bytes(), None),
        vector("another", "11.6", "it is sealed to another key", seal(ANOTHERS, &Forge::tiny().write()), None),
    ];
    let fits = "its header has 16 KiB, the most a reader takes";
    let exceeds = "its header is longer than 16 KiB by a byte; nothing else is wrong";
    let sixteen = 16 << 10;
    all.push(vector("long-header", "11.2", fits, seal(&lengthened(OURS, sixteen), &plain), Some(plain.clone())));
    all.push(vector("longer-header", "11.2", exceeds, seal(&lengthened(OURS, sixteen + 1), &plain), None));
    let broken = Forge::tiny().write();
    all.push(SealedVector {
        codes: vec![Code::NotArchive],
        ..vector(
            "half-inside",
            "11.5",
            "it is whole, and half an archive is inside",
            seal(OURS, &broken[..broken.len() / 2]),
            None,
        )
    });
    all
}

fn seal(envelope: &[u8], plain: &[u8]) -> Vec<u8> {
    let sealed = Envelope::from_bytes(envelope).unwrap().around(plain.len() as u64, &Digest::of(plain));
    let mut file = Vec::new();
    let mut sealer = sealed.range(0..sealed.len());
    sealer.push(plain, &mut file);
    assert_eq!(file.len() as u64, sealed.len());
    file
}

/// The same envelope with a header of this length, by a stanza that means nothing.
fn lengthened(envelope: &[u8], len: usize) -> Vec<u8> {
    let (file_key, header) = envelope.split_at(16);
    let first = header.iter().position(|byte| *byte == b'\n').unwrap() + 1;
    let end = header.windows(4).position(|window| window == b"\n---").unwrap() + 4;
    let (before, after) = (&header[..first], &header[first..end]);
    // "-> x " and two line ends; behind all of it a blank, the code in 43 digits, and a line end.
    let stanza = format!("-> x {}\n\n", "x".repeat(len - end - 7 - 45));
    let signed = [before, stanza.as_bytes(), after].concat();
    let code = hmac(&hkdf(b"", b"header", file_key), &signed);
    let whole = [&signed[..], b" ", STANDARD_NO_PAD.encode(code).as_bytes(), b"\n"].concat();
    assert_eq!(whole.len(), len);
    [file_key, &whole].concat()
}

/// HMAC-SHA-256 (RFC 2104) under a key of 32 bytes.
fn hmac(key: &[u8; 32], message: &[u8]) -> [u8; 32] {
    let pad = |with: u8| -> Vec<u8> { key.iter().map(|byte| byte ^ with).chain([with; 32]).collect() };
    let inner = Digest::of(&[&pad(0x36)[..], message].concat());
    *Digest::of(&[&pad(0x5c)[..], &inner.as_bytes()[..]].concat()).as_bytes()
}

fn noise(len: u32) -> Vec<u8> {
    let mut state = 7_u64;
    let next = |_| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 56) as u8
    };
    (0..len).map(next).collect()
}
