//! Archives beyond the numbers of plain ZIP.

use std::io::{self, Seek as _, Write as _};
use std::sync::LazyLock;

use bytes::Bytes;
use export_format::Digest;
use export_format::check::check;
use export_format::digest::{Summary, Tally};
use export_format::finding::Code;
use export_format::packed::Stored;
use export_format::plan::{Piece, Plan};
use export_format::reader::{Limits, Reader};
use export_format::signature::Trust;
use export_format::source::Source;
use export_format::writer::{Head, Payload, Writer};

use crate::made;

#[test]
fn more_entries_than_sixteen_bits_count() {
    let mut payload = made::small();
    for number in 0..66_000_u32 {
        payload.push(made::blob(&format!("data/notes/{:02x}/{number}.txt", number % 256), &number.to_le_bytes()));
    }
    let archive = made::archive(payload);
    let report = check(&archive, &Limits::default(), &Trust::Anyone, &mut |_| {});
    assert!(report.accepted, "{:#?}", report.findings.list());
    assert_eq!(report.entries, 66_014);
}

/// The bytes of a plan, made as they are asked for: zeros for every blob.
struct Made(Plan<Zeros>);
#[derive(Debug)]
enum Zeros {
    Zeros,
    Bytes(Bytes),
}

impl Source for Made {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.len())
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let mut done = 0;
        for piece in self.0.range(offset..offset.saturating_add(buffer.len() as u64)) {
            done += match piece {
                Piece::Inline(bytes) => {
                    buffer[done..done + bytes.len()].copy_from_slice(&bytes);
                    bytes.len()
                }
                Piece::Stored { source, range, .. } => {
                    let (from, to) = (range.start as usize, range.end as usize);
                    match source {
                        Zeros::Zeros => buffer[done..done + to - from].fill(0),
                        Zeros::Bytes(bytes) => buffer[done..done + to - from].copy_from_slice(&bytes[from..to]),
                    }
                    to - from
                }
            };
        }
        Ok(done)
    }
}

/// More than 32 bits count, looked at once for all tests.
static BIG: LazyLock<Summary> = LazyLock::new(|| zeros(4_300_000_000));

fn zeros(size: u64) -> Summary {
    let block = vec![0; 1 << 20];
    let mut tally = Tally::new();
    while tally.size() < size {
        tally.update(&block[..(size - tally.size()).min(1 << 20) as usize]);
    }
    tally.finish()
}

fn planned(files: &[(&str, Summary)]) -> Made {
    let mut writer = Writer::new(Head { manifest: made::manifest(), cover: Default::default() });
    for (path, summary) in files {
        writer
            .add(Payload {
                path: path.parse().unwrap(),
                summary: *summary,
                stored: Stored::Whole,
                source: Zeros::Zeros,
            })
            .unwrap();
    }
    let account = made::document(
        "data/account.json",
        br#"{"schema":"pcc/account@1","id":"did:web:a","handle":"a","displayName":"A"}"#,
    );
    writer
        .add(Payload {
            path: account.path,
            summary: account.summary,
            stored: account.stored,
            source: Zeros::Bytes(account.source),
        })
        .unwrap();
    Made(writer.seal(&made::signer()).unwrap().into_plan())
}

#[test]
fn files_and_archives_larger_than_thirty_two_bits_count() {
    // Exactly at the limit, one below it, and something that begins beyond it; one digest suffices for the layout.
    let limit = 0xffff_ffff_u64;
    for size in [limit - 1, limit, limit + 1] {
        let summary = Summary { size, digest: Digest::of(b""), crc32: 7 };
        let made = planned(&[("data/a", summary), ("data/b", summary), ("data/z", Summary::of(b""))]);
        let reader = Reader::open(&made, &Limits::default()).unwrap_or_else(|refusal| panic!("{size}: {refusal}"));
        assert_eq!(reader.find("data/b").unwrap().size(), size);
        assert_eq!(
            reader.manifest().counts.bytes,
            reader.entries().iter().filter(|entry| entry.path().is_payload()).map(|entry| entry.size()).sum::<u64>()
        );
    }
}

#[test]
fn four_gibibytes_are_verified_without_being_held() {
    let summary = *BIG;
    let made = planned(&[("data/zeros", summary)]);
    let mut steps = 0;
    let report = check(&made, &Limits::default(), &Trust::Anyone, &mut |_| steps += 1);
    assert!(report.accepted && report.bytes > 4_300_000_000, "{:#?}", report.findings.list());
    assert!(steps > 1000);
    let report = check(
        &planned(&[("data/zeros", Summary { digest: Digest::of(b""), ..summary })]),
        &Limits { bytes: 1 << 30, ..Limits::default() },
        &Trust::Anyone,
        &mut |_| {},
    );
    assert!(report.findings.has(Code::Quota));
}

/// The file is a hole but for its headers, so that it takes time to read and no room.
#[test]
fn zip_tools_take_more_than_four_gibibytes_and_sixteen_bits_of_entries() {
    let big = *BIG;
    let small = zeros(1);
    let names: Vec<String> = (0..66_000).map(|number| format!("data/z/{:02x}/{number}", number % 256)).collect();
    let mut files = vec![("data/a/big", big)];
    files.extend(names.iter().map(|name| (name.as_str(), small)));
    let made = planned(&files);
    assert!(made.0.len() > u64::from(u32::MAX) && made.0.entries() > 65_535);
    let folder = tempfile::tempdir().unwrap();
    let mut file = std::fs::File::create(folder.path().join("a.zip")).unwrap();
    for piece in made.0.range(0..made.0.len()) {
        match piece {
            Piece::Inline(bytes) => file.write_all(&bytes).unwrap(),
            // Zeros that nobody wrote take no room.
            Piece::Stored { source: Zeros::Zeros, range, .. } => {
                file.seek_relative((range.end - range.start).cast_signed()).unwrap();
            }
            Piece::Stored { source: Zeros::Bytes(bytes), range, .. } => {
                file.write_all(&bytes[range.start as usize..range.end as usize]).unwrap();
            }
        }
    }
    drop(file);
    crate::peers::zip_tools_take_a_zip_in(folder.path());
}
