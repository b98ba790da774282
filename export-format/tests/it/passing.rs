//! Archives that only flow past: the same verdict, the same words, the same content, and never more memory.

use std::collections::BTreeMap;
use std::io::{self, Read};

use export_format::EntryPath;
use export_format::check::check;
use export_format::finding::Findings;
use export_format::forward::{self, Receive, Unverified};
use export_format::manifest::Manifest;
use export_format::reader::Limits;
use export_format::signature::{SigningKey, Trust};

use crate::made;

/// Gives its bytes a few at a time, as a slow line does.
struct Dripping<'b>(&'b [u8], usize);

impl Read for Dripping<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = buffer.len().min(self.0.len()).min(self.1);
        buffer[..count].copy_from_slice(&self.0[..count]);
        self.0 = &self.0[count..];
        Ok(count)
    }
}

/// Puts everything aside.
#[derive(Default)]
struct Stage {
    domain: Option<Unverified<String>>,
    files: Vec<Unverified<(EntryPath, Vec<u8>)>>,
}

impl Receive for Stage {
    fn begin(&mut self, manifest: Unverified<&Manifest>, _: &SigningKey) -> io::Result<()> {
        self.domain = Some(manifest.map(|manifest| manifest.subject.domain.clone()));
        Ok(())
    }

    fn file(&mut self, path: Unverified<&EntryPath>, _size: u64) -> io::Result<()> {
        self.files.push(path.map(|path| (path.clone(), Vec::new())));
        Ok(())
    }

    fn bytes(&mut self, bytes: Unverified<&[u8]>) -> io::Result<()> {
        let last = self.files.pop().unwrap();
        self.files.push(last.map(|(path, mut content)| {
            content.extend_from_slice(bytes.look());
            (path, content)
        }));
        Ok(())
    }
}

fn told(findings: &Findings) -> Vec<String> {
    let mut told: Vec<String> = findings.list().iter().map(ToString::to_string).collect();
    told.sort();
    told
}

#[test]
fn what_passed_is_what_was_written() {
    let archive = made::archive(made::small());
    for step in [1, 7, 1000, 1 << 20] {
        let mut stage = Stage::default();
        let arrived = forward::read(Dripping(&archive, step), &Limits::default(), &Trust::Anyone, &mut stage).unwrap();
        assert_eq!(arrived.verified(stage.domain.unwrap()), "anna.example");
        let files: BTreeMap<_, _> = stage.files.into_iter().map(|file| arrived.verified(file)).collect();
        assert_eq!(files.len(), made::small().len());
        assert!(
            files
                .iter()
                .any(|(path, content)| path.as_str().ends_with("index.html") && content == made::PAGE.as_bytes())
        );
        assert_eq!(arrived.signed_by(), &made::signer().public());
    }
}

#[test]
fn both_readers_say_the_same_of_what_keeps_its_structure() {
    let other = |name: &str, content: &[u8]| {
        let mut payload = made::small();
        let at = payload.iter().position(|entry| entry.path.as_str().ends_with(name)).unwrap();
        payload[at] = made::document(payload[at].path.clone().as_str(), content);
        payload
    };
    let without = |name: &str| {
        let mut payload = made::small();
        payload.retain(|entry| !entry.path.as_str().ends_with(name));
        payload
    };
    let rows = "{\"_id\":\"b\"}\n{\"_id\":\"a\"}\n{\"_id\": 1}\n";
    let blob = |size: u64| {
        let digest = export_format::Digest::of(b"\xff\xd8\xff\xe0 not really a photo");
        format!(
            "{{\"_id\":\"n\",\"p\":{{\"$blob\":{{\"path\":\"files/Photos/a.jpg\",\"sha256\":\"{digest}\",\"size\":{size},\"type\":\"x\"}}}}}}\n"
        )
    };
    let strange = vec![
        made::small(),
        other("00.ndjson", rows.as_bytes()),
        other("00.ndjson", blob(5).as_bytes()),
        other("00.ndjson", (blob(5).replace("\"n\"", "\"m\"") + &blob(6)).as_bytes()),
        other("files.ndjson", b""),
        other("files.ndjson", b"{}\n"),
        other("app.json", b"{\"a\":1,\"a\":2}"),
        other("account.json", b"[]"),
        without("a.jpg"),
        without("files.ndjson"),
        without("app.json"),
        without("00.ndjson"),
        Vec::new(),
    ];
    let trusts = [Trust::Anyone, Trust::Keys(vec![made::signer().public()]), Trust::Keys(vec![])];
    for (number, payload) in strange.into_iter().enumerate() {
        let archive = made::archive(payload);
        for trust in &trusts {
            for bytes in [u64::MAX, 100] {
                let limits = Limits { bytes, ..Limits::default() };
                let (one, other) = (
                    check(&archive, &limits, trust, &mut |_| {}),
                    forward::check(&archive[..], &limits, trust, &mut |_| {}),
                );
                assert_eq!(told(&one.findings), told(&other.findings), "{number}, {bytes}, {trust:?}");
                assert_eq!((one.accepted, one.entries, one.bytes), (other.accepted, other.entries, other.bytes));
            }
        }
    }
}

#[test]
fn a_refusal_comes_before_what_it_is_about_was_read() {
    let archive = made::archive(made::small());
    for (limits, trust) in [
        (Limits { bytes: 100, ..Limits::default() }, Trust::Anyone),
        (Limits::default(), Trust::Keys(vec![])),
        (Limits { entries: 3, ..Limits::default() }, Trust::Anyone),
    ] {
        let mut stage = Stage::default();
        assert!(forward::read(&archive[..], &limits, &trust, &mut stage).is_err());
        assert!(stage.domain.is_none() && stage.files.is_empty(), "{limits:?}");
    }
}
