//! A verified base spares reading what comes from it, and nothing else: the verdict is that of a full verification, finding by
//! finding, whatever the two archives are.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::io;

use bytes::Bytes;
use export_format::delta::{self, Base, Delta};
use export_format::digest::Summary;
use export_format::finding::Refusal;
use export_format::plan::Plan;
use export_format::reader::{Limits, Reader, Verified};
use export_format::signature::Trust;
use export_format::source::Source;
use proptest::prelude::*;
use serde_json::json;

use crate::made;
use crate::vectors::{ALL, DELTAS};

const APP: &str = "data/apps/org.example.notes";

/// A row of a table: its id, and the file it refers to with the content it says that has.
type Row = (u8, Option<(u8, u8)>);

/// A server with one app, sound or not.
#[derive(Debug, Clone, Default)]
struct Server {
    /// Files, and which of a few contents each has.
    files: BTreeMap<u8, u8>,
    /// What `files.ndjson` says of them, and the document behind it of the even ones.
    listed: Vec<(u8, u8)>,
    more: Vec<(u8, u8)>,
    /// The segments of a table.
    segments: Vec<Vec<Row>>,
    count: u64,
    name: u8,
    grants: u8,
}

#[derive(Debug, Clone)]
enum Edit {
    PutFile(u8, u8),
    RemoveFile(u8),
    List(usize, Option<(u8, u8)>),
    ListMore(usize, Option<(u8, u8)>),
    PutRow(usize, u8, Option<(u8, u8)>),
    RemoveRow(usize, usize),
    Swap(usize, usize),
    Split(usize, usize),
    Count(u64),
    Name(u8),
    Grants(u8),
    /// What makes all of it fit together again.
    Mend,
}

impl Server {
    fn mend(&mut self) {
        let all = self.files.clone().into_iter();
        (self.more, self.listed) = all.partition(|(file, _)| file % 2 == 0);
        let files = self.files.clone();
        let mut rows: BTreeMap<u8, Option<(u8, u8)>> = self.segments.concat().into_iter().collect();
        for named in rows.values_mut() {
            *named = named.and_then(|(file, _)| Some((file, *files.get(&file)?)));
        }
        let rows: Vec<_> = rows.into_iter().collect();
        self.segments = rows.chunks(3).map(<[_]>::to_vec).collect();
        self.count = rows.len() as u64;
    }

    fn edit(&mut self, edit: &Edit) {
        let place = |list: &mut Vec<(u8, u8)>, at: usize, says: Option<(u8, u8)>| match says {
            Some(says) => list.insert(at.min(list.len()), says),
            None if at < list.len() => drop(list.remove(at)),
            None => {}
        };
        let count = self.segments.len();
        match edit.clone() {
            Edit::PutFile(file, content) => drop(self.files.insert(file, content)),
            Edit::RemoveFile(file) => drop(self.files.remove(&file)),
            Edit::List(at, says) => place(&mut self.listed, at, says),
            Edit::ListMore(at, says) => place(&mut self.more, at, says),
            Edit::PutRow(at, id, named) if at < count => {
                self.segments[at].push((id, named));
                self.count += 1;
            }
            Edit::RemoveRow(at, row) if at < count && row < self.segments[at].len() => {
                self.segments[at].remove(row);
                self.count = self.count.saturating_sub(1);
            }
            Edit::Swap(a, b) if a < count && b < count => self.segments.swap(a, b),
            Edit::Split(at, row) if at < count && row < self.segments[at].len() => {
                let rest = self.segments[at].split_off(row);
                self.segments.insert(at + 1, rest);
            }
            Edit::Count(count) => self.count = count,
            Edit::Name(name) => self.name = name,
            Edit::Grants(grants) => self.grants = grants,
            Edit::Mend => self.mend(),
            _ => {}
        }
    }

    fn plan(&self, number: u64) -> Plan<Bytes> {
        let content = |content: u8| vec![content; 40 + usize::from(content)];
        let digest = |of: u8| Summary::of(&content(of)).digest;
        let mut payload = vec![made::document(
            "data/account.json",
            br#"{"schema":"pcc/account@1","id":"did:web:a.example","handle":"a.example","displayName":"A"}"#,
        )];
        let lines = |rows: Vec<serde_json::Value>| -> String { rows.iter().map(|row| format!("{row}\n")).collect() };
        let mut within = Vec::new();
        for (at, rows) in self.segments.iter().enumerate() {
            let rows = rows.iter().map(|(id, named)| match named {
                None => json!({"_id": format!("n-{id:03}")}),
                Some((file, of)) => json!({"_id": format!("n-{id:03}"), "photo": {"$blob": {
                    "path": format!("files/{file}.jpg"), "sha256": digest(*of), "size": content(*of).len(), "type": "image/jpeg"
                }}}),
            });
            let text = lines(rows.collect());
            within.push(format!("tables/notes/{at:02}.ndjson"));
            payload.push(made::document(&format!("{APP}/{}", within[at]), text.as_bytes()));
        }
        for (name, listed) in [("files.ndjson", &self.listed), ("files.01.ndjson", &self.more)] {
            let rows = listed.iter().map(|(file, of)| {
                json!({"path": format!("files/{file}.jpg"), "sha256": digest(*of), "size": content(*of).len(), "name": "a.jpg", "type": "image/jpeg"})
            });
            payload.push(made::document(&format!("{APP}/{name}"), lines(rows.collect()).as_bytes()));
        }
        for (file, of) in &self.files {
            payload.push(made::blob(&format!("{APP}/files/{file}.jpg"), &content(*of)));
        }
        let app = json!({
            "schema": "pcc/app@1", "id": "org.example.notes", "name": format!("Notes {}", self.name), "version": "1", "runtime": "data",
            "tables": [{"name": "notes", "count": self.count, "segments": within}],
        });
        payload.push(made::document(&format!("{APP}/app.json"), app.to_string().as_bytes()));
        let grants = (0..self.grants).map(|n| {
            json!({"schema": "pcc/permission@1", "id": format!("p{n}"), "grantor": "did:web:a.example", "grantee": {"type": "app", "id": "x.y.z"}, "resource": {}, "actions": ["read"]})
        });
        payload.push(made::document("data/permissions.ndjson", lines(grants.collect()).as_bytes()));
        made::seal_with(payload, |manifest| {
            manifest.archive_id = uuid::Uuid::from_u128(u128::from(number)).urn().to_string();
            manifest.counts.documents = self.segments.iter().map(|rows| rows.len() as u64).sum();
            manifest.counts.files = self.files.len() as u64;
        })
        .into_plan()
    }
}

fn bytes_of(plan: &Plan<Bytes>) -> Vec<u8> {
    made::bytes_of(plan, 0..plan.len())
}

fn delta(base: &Plan<Bytes>, number: u64, new: Plan<Bytes>) -> Vec<u8> {
    let id = uuid::Uuid::from_u128(u128::from(number)).urn().to_string();
    let manifest = base.tag_file(export_format::bag::names::MANIFEST).unwrap();
    bytes_of(&delta::of(new, &Base::ours(&id, manifest).unwrap(), &made::signer()).unwrap())
}

/// Everything found, in an order of its own.
fn found<T>(verdict: &Result<Reader<T, Verified>, Refusal>) -> (bool, Vec<String>) {
    let (accepted, findings) = match verdict {
        Ok(reader) => (true, reader.findings()),
        Err(refusal) => (false, &refusal.findings),
    };
    let mut all: Vec<String> = findings.list().iter().map(ToString::to_string).collect();
    all.sort();
    (accepted, all)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn a_verified_base_changes_no_verdict(
        first in prop::collection::vec(edit(), 0..14),
        then in prop::collection::vec((prop::collection::vec(edit(), 0..4), any::<bool>()), 1..4),
    ) {
        let limits = Limits::default();
        let mut server = Server { segments: vec![Vec::new(); 3], ..Server::default() };
        first.iter().for_each(|edit| server.edit(edit));
        server.mend();
        let mut base = server.plan(1);
        let mut here = Reader::open(bytes_of(&base), &limits).unwrap().verify(&Trust::Anyone, &mut |_| {}).unwrap().shared();
        for (number, (edits, mend)) in (2..).zip(then) {
            edits.iter().for_each(|edit| server.edit(edit));
            if mend {
                server.mend();
            }
            let new = server.plan(number);
            let delta = delta(&base, number - 1, server.plan(number));
            let whole = Delta::open(&delta, &limits).unwrap().apply(here.clone(), &limits);
            let whole = whole.and_then(|reader| reader.verify(&Trust::Anyone, &mut |_| {}));
            let since = Delta::open(delta.clone(), &limits).unwrap();
            let since = since.apply_verified(here.clone(), &limits, &Trust::Anyone, &mut |_| {});
            prop_assert_eq!(found(&since), found(&whole));
            // A refused round is followed by another on the same base.
            if let Ok(next) = since {
                (here, base) = (next.shared(), new);
            }
        }
    }
}

fn edit() -> impl Strategy<Value = Edit> {
    let file = || (0..6_u8, 0..3_u8);
    prop_oneof![
        3 => file().prop_map(|(file, content)| Edit::PutFile(file, content)),
        1 => (0..6_u8).prop_map(Edit::RemoveFile),
        1 => (0..4_usize, prop::option::of(file())).prop_map(|(at, says)| Edit::List(at, says)),
        1 => (0..4_usize, prop::option::of(file())).prop_map(|(at, says)| Edit::ListMore(at, says)),
        5 => (0..3_usize, any::<u8>(), prop::option::of(file())).prop_map(|(at, id, named)| Edit::PutRow(at, id, named)),
        1 => (0..3_usize, 0..3_usize).prop_map(|(at, row)| Edit::RemoveRow(at, row)),
        1 => (0..3_usize, 0..3_usize).prop_map(|(a, b)| Edit::Swap(a, b)),
        1 => (0..3_usize, 0..3_usize).prop_map(|(at, row)| Edit::Split(at, row)),
        1 => (0..9_u64).prop_map(Edit::Count),
        1 => (0..3_u8).prop_map(Edit::Name),
        1 => (0..2_u8).prop_map(Edit::Grants),
        2 => Just(Edit::Mend),
    ]
}

#[test]
fn every_vector_of_a_delta_meets_the_same_verdict_on_a_verified_base() {
    let limits = Limits::default();
    let trust = Trust::Keys(vec![made::signer().public()]);
    let mut tried = 0;
    for vector in DELTAS.iter() {
        let base = &ALL.iter().find(|other| other.name == vector.base).unwrap().bytes;
        let base = Reader::open(base, &limits).and_then(|base| base.verify(&Trust::Anyone, &mut |_| {}));
        let Ok(base) = base else { continue };
        tried += 1;
        let open = || Delta::open(&vector.bytes, &limits);
        let since = open().and_then(|delta| delta.apply_verified(base.clone(), &limits, &trust, &mut |_| {}));
        let whole = open().and_then(|delta| delta.apply(base.clone(), &limits)?.verify(&trust, &mut |_| {}));
        assert_eq!(found(&since), found(&whole), "{}", vector.name);
        assert_eq!(since.is_ok(), vector.gives.is_some(), "{}", vector.name);
    }
    assert!(tried > 20, "only {tried} were tried");
}

/// Counts what is read.
struct Counted<'b>(&'b [u8], &'b Cell<u64>);

impl Source for Counted<'_> {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.len() as u64)
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.0.read_at(offset, buffer)?;
        self.1.set(self.1.get() + count as u64);
        Ok(count)
    }
}

#[test]
fn what_comes_from_a_verified_base_is_not_read() {
    let server = |rows: u32, files: u8, note: &str| {
        let photo = |n: u8| made::blob(&format!("data/photos/{n}.jpg"), &vec![n; 600_000]);
        let text: String = (0..rows).map(|n| format!("{{\"_id\":\"n-{n:06}\",\"n\":{n}}}\n")).collect();
        let app = json!({"schema": "pcc/app@1", "id": "org.example.notes", "name": "Notes", "version": "1", "runtime": "data",
            "tables": [{"name": "notes", "count": rows, "segments": ["tables/notes/00.ndjson"]}]});
        let mut payload = vec![
            made::document(&format!("{APP}/app.json"), app.to_string().as_bytes()),
            made::document(&format!("{APP}/tables/notes/00.ndjson"), text.as_bytes()),
            made::document("data/notes.txt", note.as_bytes()),
        ];
        payload.extend((0..files).map(photo));
        payload
    };
    let sealed = |number: u64, payload| {
        made::seal_with(payload, |manifest| {
            manifest.archive_id = uuid::Uuid::from_u128(u128::from(number)).urn().to_string();
            (manifest.counts.documents, manifest.counts.files) = (100_000, 0);
        })
        .into_plan()
    };
    let (old, limits, read) = (sealed(1, server(100_000, 20, "before")), Limits::default(), Cell::new(0));
    let delta = delta(&old, 1, sealed(2, server(100_000, 20, "after")));
    let bytes = bytes_of(&old);
    let base = Reader::open(Counted(&bytes, &read), &limits).unwrap().verify(&Trust::Anyone, &mut |_| {}).unwrap();
    assert!(read.replace(0) >= bytes.len() as u64);
    let new = Delta::open(&delta, &limits).unwrap().apply_verified(base, &limits, &Trust::Anyone, &mut |_| {}).unwrap();
    // A reader reads ahead, a little beyond each of the bag's own files and of the documents that are read again.
    assert!(read.get() < 3 << 20, "{} of {} bytes of the base were read", read.get(), bytes.len());
    assert_eq!(new.document(new.find("data/notes.txt").unwrap()).unwrap(), b"after");
    let segment = new.find(&format!("{APP}/tables/notes/00.ndjson")).unwrap();
    assert_eq!(new.ids(segment), Some(("n-000000", "n-099999")));
}
