//! Whole archives sealed with age: any range, any reader, and no damage taken.

use std::io::Read as _;
use std::path::Path;

use age::secrecy::SecretString;
use export_format::Digest;
use export_format::check::check;
use export_format::reader::{Limits, Reader};
use export_format::sealed::{
    Envelope, Forward, Key, Lock, MAX_HEADER, Opened, START, Sealed, SealedError, Unlocked, lock,
};
use export_format::signature::Trust;
use export_format::source::Source;
use proptest::prelude::*;

use crate::made;
use crate::peers::run;

const PHRASE: &str = "violet harbour counts seven";
const CHUNK: usize = 64 * 1024;

/// A key pair; scrypt in every case of a test would only take time.
fn pair() -> (String, Key) {
    let identity = age::x25519::Identity::generate();
    let secret = age::secrecy::ExposeSecret::expose_secret(&identity.to_string()).to_owned();
    (identity.to_public().to_string(), Key::Identity(secret))
}

fn part(sealed: &Sealed, plain: &[u8], range: std::ops::Range<u64>, step: usize) -> Vec<u8> {
    let mut sealer = sealed.range(range);
    let mut out = Vec::new();
    let needed = sealer.plain();
    sealer.push(&[], &mut out);
    for piece in plain[needed.start as usize..needed.end as usize].chunks(step) {
        sealer.push(piece, &mut out);
    }
    out
}

fn seal(envelope: &Envelope, plain: &[u8]) -> Vec<u8> {
    let sealed = envelope.around(plain.len() as u64, &Digest::of(plain));
    let file = part(&sealed, plain, 0..u64::MAX, 100_000);
    assert_eq!(file.len() as u64, sealed.len());
    file
}

fn noise(len: usize) -> Vec<u8> {
    let mut state = 7_u64;
    let next = |_| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 56) as u8
    };
    (0..len).map(next).collect()
}

/// From front to back, and anywhere: both must agree.
fn open(file: &[u8], key: &Key) -> Option<Vec<u8>> {
    let forward = Forward::open(file, key).ok().and_then(|mut opened| {
        let mut plain = Vec::new();
        opened.read_to_end(&mut plain).ok().map(|_| plain)
    });
    let anywhere = || {
        let opened = Opened::new(file.to_vec(), &Unlocked::with(&file[..file.len().min(START)], key).ok()?).ok()?;
        let mut plain = vec![0; opened.len().ok()? as usize];
        // In odd steps, so that chunks are met in part.
        for (at, piece) in plain.chunks_mut(50_001).enumerate() {
            opened.read_exact_at(at as u64 * 50_001, piece).ok()?;
        }
        Some(plain)
    };
    assert_eq!(forward, anywhere());
    forward
}

#[test]
fn lengths_around_a_chunk_go_there_and_back_and_age_opens_them() {
    let (recipient, key) = pair();
    let Key::Identity(secret) = &key else { unreachable!() };
    let identity: age::x25519::Identity = secret.parse().unwrap();
    for len in [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK, 3 * CHUNK + 77] {
        let plain = noise(len);
        let file = seal(&Envelope::for_recipients(&[&recipient]).unwrap(), &plain);
        assert!(open(&file, &key).as_ref() == Some(&plain), "{len}");
        assert!(age::decrypt(&identity, &file).unwrap() == plain, "age, {len}");
        let theirs = age::encrypt(&identity.to_public(), &plain).unwrap();
        assert!(open(&theirs, &key).as_ref() == Some(&plain), "age's own, {len}");
    }
}

#[test]
fn passphrases_open_what_age_sealed_and_age_what_we_sealed() {
    let plain = noise(100_000);
    let file = seal(&Envelope::for_passphrase(PHRASE).unwrap(), &plain);
    assert_eq!(lock(&file[..START]).unwrap(), Lock::Passphrase);
    assert!(open(&file, &Key::passphrase(PHRASE)).unwrap() == plain);
    let mut identity = age::scrypt::Identity::new(SecretString::from(PHRASE.to_owned()));
    // By itself it takes no more than what a busy machine does in a second.
    identity.set_max_work_factor(20);
    assert!(age::decrypt(&identity, &file).unwrap() == plain);
    let mut recipient = age::scrypt::Recipient::new(SecretString::from(PHRASE.to_owned()));
    recipient.set_work_factor(10);
    let theirs = age::encrypt(&recipient, &plain).unwrap();
    assert!(open(&theirs, &Key::passphrase(PHRASE)).unwrap() == plain);
    assert!(matches!(Unlocked::with(&theirs, &Key::passphrase("another")), Err(SealedError::Wrong)));
}

#[test]
fn the_same_export_is_the_same_bytes_and_another_content_another_key() {
    let envelope = Envelope::from_bytes(&Envelope::for_passphrase(PHRASE).unwrap().to_bytes()).unwrap();
    let (one, other) = (noise(5000), vec![0; 5000]);
    let file = seal(&envelope, &one);
    assert_eq!(file, seal(&envelope, &one));
    let tail = |file: &[u8]| file[file.len() - 5016..].to_vec();
    // With one key the two contents would differ exactly as the two files do.
    let apart: Vec<u8> = tail(&file).iter().zip(tail(&seal(&envelope, &other))).map(|(a, b)| a ^ b).collect();
    assert_ne!(apart[..5000], one[..]);
}

#[test]
fn damage_of_every_kind_is_refused() {
    let (recipient, key) = pair();
    let plain = noise(2 * CHUNK + 1000);
    let file = seal(&Envelope::for_recipients(&[&recipient]).unwrap(), &plain);
    let opening = file.len() - (2 * (CHUNK + 16) + 1016);
    let chunk = |nth: usize| opening + nth * (CHUNK + 16);
    assert!(open(&file, &key).is_some());
    // Cut: within the header, the nonce, at and around every chunk, and before the end.
    let mut cuts: Vec<usize> = (0..opening + 40).step_by(7).collect();
    for nth in 0..3 {
        cuts.extend([chunk(nth) - 1, chunk(nth), chunk(nth) + 1, chunk(nth) + 16, chunk(nth) + 17]);
    }
    cuts.extend(file.len() - 40..file.len());
    for cut in cuts {
        assert!(open(&file[..cut], &key).is_none(), "cut at {cut} of {}", file.len());
    }
    // Changed: a bit of every header byte, and of some of the rest.
    for at in (0..opening).chain((opening..file.len()).step_by(3001)) {
        let mut changed = file.clone();
        changed[at] ^= 1;
        assert!(open(&changed, &key).is_none(), "a bit at {at}");
    }
    // Exchanged chunks, a chunk twice, a chunk left out, something behind the end.
    let [a, b, c] = [&file[chunk(0)..chunk(1)], &file[chunk(1)..chunk(2)], &file[chunk(2)..]];
    let head = &file[..opening];
    for parts in [[b, a, c].concat(), [a, a, b, c].concat(), [a, c].concat(), [a, b].concat(), [a, b, c, c].concat()] {
        assert!(open(&[head, &parts].concat(), &key).is_none());
    }
    assert!(open(&[&file[..], b"x"].concat(), &key).is_none());
    assert!(open(&[&file[..], &[0; CHUNK + 16]].concat(), &key).is_none());
}

#[test]
fn every_vector_meets_its_verdict() {
    let key = Key::Identity(made::SEALED_FOR.to_owned());
    for vector in crate::vectors::SEALED.iter() {
        let plain = open(&vector.bytes, &key);
        match &vector.gives {
            Some(gives) => {
                assert!(plain.as_ref() == Some(gives), "{}", vector.name);
                assert!(check(gives, &Limits::default(), &Trust::Anyone, &mut |_| {}).accepted, "{}", vector.name);
            }
            None => {
                // What is whole and no archive comes out, and is refused as that.
                let codes = plain.map(|plain| check(&plain, &Limits::default(), &Trust::Anyone, &mut |_| {}).findings);
                assert!(codes.is_none_or(|found| vector.codes.iter().all(|code| found.has(*code))), "{}", vector.name);
            }
        }
    }
}

#[test]
fn a_failed_reader_stays_failed() {
    let (recipient, key) = pair();
    let mut file = seal(&Envelope::for_recipients(&[&recipient]).unwrap(), &noise(1000));
    *file.last_mut().unwrap() ^= 1;
    let mut opened = Forward::open(&file[..], &key).unwrap();
    for _ in 0..3 {
        assert_eq!(opened.read(&mut [0; 10]).unwrap_err().kind(), std::io::ErrorKind::InvalidData);
    }
}

#[test]
fn hostile_headers_cost_little() {
    let mut recipient = age::scrypt::Recipient::new(SecretString::from("x".to_owned()));
    recipient.set_work_factor(10);
    let file = String::from_utf8_lossy(&age::encrypt(&recipient, b"x").unwrap()).replace(" 10\n", " 40\n");
    match Unlocked::with(file.as_bytes(), &Key::passphrase("x")) {
        Err(SealedError::Work { needed: 40 }) => {}
        other => panic!("{other:?}"),
    }
    let endless =
        |stanzas| [&b"age-encryption.org/v1\n"[..], "-> a\n\n".repeat(stanzas).as_bytes(), b"--- x\n"].concat();
    assert!(endless(2000).len() < MAX_HEADER && endless(100_000).len() > MAX_HEADER);
    for stanzas in [2000, 100_000] {
        let header = endless(stanzas);
        let opened = Forward::open(&header[..], &Key::passphrase("x"));
        assert!(matches!(opened, Err(SealedError::Header)), "{stanzas}");
    }
    assert!(matches!(lock(b"PK\x03\x04"), Err(SealedError::Header)));
    let (recipient, key) = pair();
    let to_a_key = seal(&Envelope::for_recipients(&[&recipient]).unwrap(), b"x");
    assert!(matches!(Unlocked::with(&to_a_key, &Key::passphrase("x")), Err(SealedError::NotByPassphrase)));
    assert!(matches!(Unlocked::with(&to_a_key, &pair().1), Err(SealedError::Wrong)));
    assert!(matches!(
        Unlocked::with(&seal(&Envelope::for_passphrase("x").unwrap(), b"x"), &key),
        Err(SealedError::NotByKey)
    ));
}

#[test]
fn an_archive_is_checked_through_its_envelope() {
    let archive = made::archive(made::small());
    let (recipient, key) = pair();
    let file = seal(&Envelope::for_recipients(&[&recipient]).unwrap(), &archive);
    let opened = Opened::new(file.clone(), &Unlocked::with(&file, &key).unwrap()).unwrap();
    assert!(check(&opened, &Limits::default(), &Trust::Anyone, &mut |_| {}).accepted);
    let verified = Reader::open(opened, &Limits::default()).unwrap().verify(&Trust::Anyone, &mut |_| {}).unwrap();
    assert!(verified.find("data/account.json").is_some());
}

#[test]
fn the_age_command_opens_what_we_seal_and_we_what_it_seals() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    let archive = made::archive(made::small());
    std::fs::write(dir.join("sealed.age"), seal(&Envelope::for_passphrase(PHRASE).unwrap(), &archive)).unwrap();
    std::fs::write(dir.join("plain.zip"), &archive).unwrap();
    // It asks at a terminal only, so it gets one.
    let script = include_str!("typed.py");
    if run(dir, None, &["age", "--version"]).is_none() {
        return;
    }
    let age = |arguments: &[&str]| {
        let command = [&["timeout", "60", "python3", "-c", script, PHRASE, "age"], arguments].concat();
        run(dir, None, &command).unwrap();
    };
    age(&["-d", "-o", "opened.zip", "sealed.age"]);
    assert!(std::fs::read(dir.join("opened.zip")).unwrap() == archive);
    age(&["-p", "-o", "theirs.age", "plain.zip"]);
    let theirs = std::fs::read(Path::new(dir).join("theirs.age")).unwrap();
    assert!(open(&theirs, &Key::passphrase(PHRASE)).unwrap() == archive);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    #[test]
    fn any_range_is_a_part_of_the_whole(len in 0..200_000_usize, cuts in proptest::collection::vec(0..210_000_u64, 0..9), step in 1..90_000_usize) {
        let (recipient, key) = pair();
        let plain = noise(len);
        let sealed = Envelope::for_recipients(&[&recipient]).unwrap().around(len as u64, &Digest::of(&plain));
        let whole = part(&sealed, &plain, 0..sealed.len(), 65_536);
        let mut at: Vec<u64> = cuts.into_iter().chain([0, sealed.len()]).map(|cut| cut.min(sealed.len())).collect();
        at.sort_unstable();
        let pieces: Vec<u8> = at.windows(2).flat_map(|pair| part(&sealed, &plain, pair[0]..pair[1], step)).collect();
        prop_assert!(pieces == whole);
        prop_assert!(open(&whole, &key) == Some(plain));
    }
}
