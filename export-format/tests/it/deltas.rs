//! Deltas: what comes of one is the archive it was made from, byte for byte, and nothing else ever comes of it.

use std::collections::BTreeMap;

use bytes::Bytes;
use export_format::Digest;
use export_format::bag::names;
use export_format::check::check;
use export_format::delta::{self, Base, Delta, DeltaError};
use export_format::finding::{Code, Refusal};
use export_format::plan::Plan;
use export_format::reader::{Limits, Reader, Verified};
use export_format::sealed::{Envelope, Key, Opened, Unlocked};
use export_format::signature::{Signer, Trust};
use export_format::source::Source;
use proptest::prelude::*;

use crate::made;
use crate::vectors::{ALL, DELTAS};

type Files = BTreeMap<u8, Vec<u8>>;

fn trusted() -> Trust {
    Trust::Keys(vec![made::signer().public()])
}

/// What comes of a delta, all of it verified.
fn applied<B: Source, D: Source>(base: B, delta: D) -> Result<Vec<u8>, Refusal> {
    let limits = Limits::default();
    let base = Reader::open(base, &limits)?;
    let full = Delta::open(delta, &limits)?.apply(base, &limits)?.verify(&trusted(), &mut |_| {})?;
    Ok(bytes_of(full.bytes()))
}

fn bytes_of(source: &impl Source) -> Vec<u8> {
    let mut bytes = vec![0; source.len().unwrap() as usize];
    source.read_exact_at(0, &mut bytes).unwrap();
    bytes
}

fn verified(archive: &[u8]) -> Reader<&[u8], Verified> {
    Reader::open(archive, &Limits::default()).unwrap().verify(&Trust::Anyone, &mut |_| {}).unwrap()
}

fn between(base: &[u8], new: &[u8]) -> Vec<u8> {
    let plan =
        delta::between(&Reader::open(base, &Limits::default()).unwrap(), &verified(new), &made::signer()).unwrap();
    bytes_from(&plan, new, 0..plan.len())
}

/// Bytes of a plan whose sources are places in `new`.
fn bytes_from(plan: &Plan<u64>, new: &[u8], range: std::ops::Range<u64>) -> Vec<u8> {
    use export_format::plan::Piece;
    let piece = |piece| match piece {
        Piece::Inline(bytes) => bytes.to_vec(),
        Piece::Stored { source, range, .. } => {
            new[(source + range.start) as usize..(source + range.end) as usize].to_vec()
        }
    };
    plan.range(range).flat_map(piece).collect()
}

/// A server that keeps these files, at its n-th export.
fn plan(files: &Files, number: u64) -> Plan<Bytes> {
    let payload = files.iter().map(|(name, content)| match name % 3 {
        0 => made::document(&format!("data/notes/{name}.txt"), content),
        _ => made::blob(&format!("data/photos/{name}.jpg"), content),
    });
    made::seal_with(payload.collect(), |manifest| {
        manifest.archive_id = uuid::Uuid::from_u128(u128::from(number)).urn().to_string();
        manifest.snapshot.seq = number;
    })
    .into_plan()
}

fn archive(files: &Files, number: u64) -> Vec<u8> {
    let plan = plan(files, number);
    made::bytes_of(&plan, 0..plan.len())
}

#[test]
fn every_vector_meets_its_verdict() {
    let mut wrong = Vec::new();
    for vector in DELTAS.iter() {
        let base = &ALL.iter().find(|other| other.name == vector.base).unwrap().bytes;
        match (applied(base, &vector.bytes), &vector.gives) {
            (Ok(bytes), Some(gives)) if bytes == *gives => {}
            (Err(refusal), None) if vector.codes.iter().all(|code| refusal.findings.has(*code)) => {}
            (Ok(_), _) => wrong.push(format!("{}: taken, and another archive comes of it", vector.name)),
            (Err(refusal), _) => wrong.push(format!("{}: {:#?}", vector.name, refusal.findings.list())),
        }
        let alone = check(&vector.bytes, &Limits::default(), &trusted(), &mut |_| {});
        assert!(!alone.accepted || vector.codes == [Code::NoDelta], "{} is taken alone", vector.name);
    }
    assert!(wrong.is_empty(), "{} of them:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn stock_tools_open_it_and_check_its_signature() {
    let vector = DELTAS.iter().find(|vector| vector.name == "delta/second").unwrap();
    crate::peers::zip_tools_take(&vector.bytes);
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    std::fs::write(dir.join("a.zip"), &vector.bytes).unwrap();
    if crate::peers::run(dir, None, &["unzip", "-q", "a.zip"]).is_some() {
        let signed = dir.join("tagmanifest-sha256.txt");
        let check = ["ssh-keygen", "-Y", "check-novalidate", "-n", "pcc-export@v1", "-s", "tagmanifest-sha256.txt.sig"];
        crate::peers::run(dir, Some(&signed), &check);
        crate::peers::run(dir, None, &["sha256sum", "-c", "--quiet", "tagmanifest-sha256.txt"]);
    }
}

#[test]
fn alone_it_is_refused_in_one_sentence() {
    let alone = ALL.iter().find(|vector| vector.name == "delta/alone").unwrap();
    for report in [
        check(&alone.bytes, &Limits::default(), &trusted(), &mut |_| {}),
        export_format::forward::check(&alone.bytes[..], &Limits::default(), &trusted(), &mut |_| {}),
    ] {
        let codes: Vec<Code> = report.findings.list().iter().map(|finding| finding.code).collect();
        assert_eq!((report.accepted, codes), (false, vec![Code::Delta]));
        assert!(report.findings.list()[0].message.contains("urn:uuid:"), "{}", report.findings.list()[0]);
    }
}

#[test]
fn a_server_that_kept_only_the_manifest_writes_the_same_delta() {
    let old = Files::from([(0, b"a note\n".repeat(99)), (1, vec![7; 5000]), (2, b"gone".to_vec())]);
    let mut new = old.clone();
    new.insert(3, b"another note\n".repeat(99));
    new.remove(&2);
    let (was, is) = (archive(&old, 1), archive(&new, 2));
    let id = Reader::open(&was, &Limits::default()).unwrap().manifest().archive_id.clone();
    let kept = Base::ours(&id, plan(&old, 1).tag_file(names::MANIFEST).unwrap()).unwrap();
    let live = delta::of(plan(&new, 2), &kept, &made::signer()).unwrap();
    let whole = made::bytes_of(&live, 0..live.len());
    assert_eq!(whole, between(&was, &is));
    assert!(applied(&was, &whole).unwrap() == is);

    // Any range of it is a slice of the whole, so a download is cut off and continued.
    for start in (0..live.len()).step_by(97) {
        let end = (start + 800).min(live.len());
        assert_eq!(made::bytes_of(&live, start..end), whole[start as usize..end as usize], "{start}..{end}");
    }
    assert!(matches!(delta::of(live, &kept, &made::signer()), Err(DeltaError::NotFull)));
}

#[test]
fn an_edit_costs_what_it_changes() {
    let noise = |seed: u64| {
        let mut state = seed;
        let next = |_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 56) as u8
        };
        (0..200_000).map(next).collect::<Vec<u8>>()
    };
    let old: Files = (0..10).map(|name| (name, noise(name.into()))).collect();
    let mut new = old.clone();
    new.insert(5, noise(99));
    let (was, is) = (archive(&old, 1), archive(&new, 2));
    let delta = between(&was, &is);
    assert!(delta.len() < is.len() / 9 + 20_000, "{} of {}", delta.len(), is.len());
    assert_eq!(applied(&was, &delta).unwrap(), is);
}

#[test]
fn changed_content_of_either_is_found_before_it_comes_out() {
    let old = Files::from([(1, vec![1; 900]), (2, vec![2; 900])]);
    let new = Files::from([(1, vec![1; 900]), (4, vec![4; 900])]);
    let (was, is) = (archive(&old, 1), archive(&new, 2));
    let delta = between(&was, &is);
    let spoil = |bytes: &[u8], content: u8| {
        let mut bytes = bytes.to_vec();
        let at = bytes.windows(900).position(|window| *window == [content; 900]).unwrap();
        bytes[at + 450] ^= 1;
        bytes
    };
    for (base, delta) in [(spoil(&was, 1), delta.clone()), (was.clone(), spoil(&delta, 4))] {
        let refusal = applied(&base, &delta).unwrap_err();
        assert!(refusal.findings.has(Code::Digest), "{refusal}");
    }
    // What is not taken does not matter.
    assert_eq!(applied(spoil(&was, 2), &delta).unwrap(), is);
}

#[test]
fn every_cut_and_every_flipped_byte_is_refused_or_harmless() {
    let vector = DELTAS.iter().find(|vector| vector.name == "delta/second").unwrap();
    let base = &ALL.iter().find(|other| other.name == vector.base).unwrap().bytes;
    let gives = vector.gives.as_ref().unwrap();
    for at in (0..vector.bytes.len()).step_by(7) {
        assert!(applied(base, vector.bytes[..at].to_vec()).is_err(), "cut at {at}");
        let mut flipped = vector.bytes.clone();
        flipped[at] ^= 1 << (at % 8);
        // The padding of a deflated stream means nothing.
        let came = applied(base, &flipped);
        assert!(came.as_ref().map_or(true, |bytes| bytes.len() == gives.len()), "flipped at {at}");
        assert!(came.is_err() || check(&came.unwrap(), &Limits::default(), &trusted(), &mut |_| {}).accepted);
    }
}

#[test]
fn room_and_number_are_judged_before_anything_is_unpacked() {
    let vector = DELTAS.iter().find(|vector| vector.name == "delta/second").unwrap();
    let base = &ALL.iter().find(|other| other.name == vector.base).unwrap().bytes;
    for (limits, code) in [
        (Limits { bytes: 10, ..Limits::default() }, Code::Quota),
        (Limits { entries: 13, ..Limits::default() }, Code::TooMany),
    ] {
        let base = Reader::open(base, &Limits::default()).unwrap();
        let refusal = match Delta::open(&vector.bytes, &limits) {
            Ok(delta) => delta.apply(base, &limits).unwrap_err(),
            Err(refusal) => refusal,
        };
        assert!(refusal.findings.has(code), "{refusal}");
    }
}

#[test]
fn a_file_that_is_taken_for_very_many_paths_is_a_bomb() {
    let bytes = Bytes::from(vec![7; 300_000]);
    let payload = |copies: usize| {
        (0..copies).map(|copy| made::blob(&format!("data/{copy:04}"), &[])).map(|blob| export_format::writer::Payload {
            summary: export_format::digest::Summary::of(&bytes),
            source: bytes.clone(),
            ..blob
        })
    };
    let base = made::archive(payload(1).collect());
    let open = || Reader::open(&base, &Limits::default()).unwrap();
    for (copies, is_bomb) in [(50, false), (900, true)] {
        let full = made::seal_with(payload(copies).collect(), |_| {}).into_plan();
        let plan = delta::of(full, &Base::of(&open()), &made::signer()).unwrap();
        let delta = made::bytes_of(&plan, 0..plan.len());
        let refusal = Delta::open(&delta, &Limits::default()).unwrap().apply(open(), &Limits::default()).err();
        assert_eq!(refusal.is_some_and(|refusal| refusal.findings.has(Code::Ratio)), is_bomb, "{copies} copies");
    }
}

#[test]
fn content_that_was_deflated_otherwise_is_carried() {
    use crate::catalogue::forge::{Forge, deflated};
    let mut other = Forge::small();
    let page = other.named("index.html");
    let better = deflated(&page.plain);
    assert_ne!(better, page.content, "the two ways to deflate give the same");
    page.content = better;
    let base = other.resign().write();
    let new =
        Forge::small().pcc(|pcc| pcc["archiveId"] = "urn:uuid:01930000-0000-7000-8000-000000000002".into()).write();
    let delta = between(&base, &new);
    assert_eq!(Delta::open(&delta, &Limits::default()).unwrap().files(), (1, 5), "all but the page is taken");
    assert_eq!(applied(&base, &delta).unwrap(), new);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn what_comes_of_a_delta_is_what_it_was_made_from(
        old in files(), edits in prop::collection::vec((0..20_u8, prop::option::of(content())), 0..6), moved in 0..20_u8
    ) {
        let mut new = old.clone();
        for (name, content) in edits {
            match content {
                Some(content) => drop(new.insert(name, content)),
                None => drop(new.remove(&name)),
            }
        }
        if let Some(content) = new.remove(&moved) {
            new.insert(moved + 30, content);
        }
        let (was, is) = (archive(&old, 1), archive(&new, 2));
        let delta = between(&was, &is);
        prop_assert_eq!(&applied(&was, &delta).unwrap(), &is);
        // And the way back, which builds on what came of it.
        let again = archive(&old, 3);
        prop_assert_eq!(&applied(&is, between(&is, &again)).unwrap(), &again);
        // It is no way to anything from another archive.
        let other = archive(&new, 4);
        prop_assert!(applied(&other, &delta).unwrap_err().findings.has(Code::WrongBase));
    }

    #[test]
    fn chains_of_sealed_deltas_by_anyone_lead_to_the_last_archive(states in prop::collection::vec(files(), 2..5)) {
        let archives: Vec<Vec<u8>> =
            states.iter().enumerate().map(|(number, files)| archive(files, number as u64 + 1)).collect();
        let key = age::x25519::Identity::generate();
        let envelope = Envelope::for_recipients(&[&key.to_public().to_string()]).unwrap();
        let key = Key::Identity(age::secrecy::ExposeSecret::expose_secret(&key.to_string()).to_owned());
        let sealed = |plain: &[u8]| {
            let sealed = envelope.around(plain.len() as u64, &Digest::of(plain));
            let mut file = Vec::new();
            sealed.range(0..sealed.len()).push(plain, &mut file);
            let unlocked = Unlocked::with(&file, &key).unwrap();
            Opened::new(file, &unlocked).unwrap()
        };
        let limits = Limits::default();
        let mut here = Reader::open(sealed(&archives[0]), &limits).unwrap().boxed();
        for pair in archives.windows(2) {
            let base = Reader::open(&pair[0], &limits).unwrap();
            let plan = delta::between(&base, &verified(&pair[1]), &Signer::random()).unwrap();
            let delta = bytes_from(&plan, &pair[1], 0..plan.len());
            here = Delta::open(sealed(&delta), &limits).unwrap().apply(here, &limits).unwrap().boxed();
        }
        let last = here.verify(&trusted(), &mut |_| {}).unwrap();
        prop_assert_eq!(&bytes_of(last.bytes()), archives.last().unwrap());
    }
}

fn content() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        prop::collection::vec(any::<u8>(), 0..300),
        // Compressible, and often the same in two places.
        (0..4_u8, 0..900_usize).prop_map(|(byte, len)| vec![byte; len]),
    ]
}

fn files() -> impl Strategy<Value = Files> {
    prop::collection::btree_map(0..20_u8, content(), 0..12)
}
