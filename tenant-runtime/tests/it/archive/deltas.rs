//! Exports as deltas: what is fetched leads from the archive of an earlier export to that of this one, byte for byte.

use export_format::delta::Delta;
use export_format::reader::{Limits as Most, Reader};
use export_format::signature::Trust;
use export_format::source::Source as _;

use super::*;

/// The wish for a delta from an earlier export.
pub(super) fn since(base: &str) -> ExportRequest {
    ExportRequest { base: Some(base.into()), ..ExportRequest::default() }
}

/// The archive that a delta and its base make, verified.
pub(super) fn applied(base: Vec<u8>, delta: Vec<u8>) -> Vec<u8> {
    let most = Most::default();
    let base = Reader::open(base.as_slice(), &most).unwrap();
    let delta = Delta::open(delta.as_slice(), &most).unwrap();
    let full = delta.apply(base, &most).unwrap().verify(&Trust::Anyone, &mut |_| {}).unwrap();
    let mut bytes = vec![0; full.bytes().len().unwrap() as usize];
    full.bytes().read_exact_at(0, &mut bytes).unwrap();
    bytes
}

/// The same export, fetched whole: what it would have been without a base.
pub(super) async fn whole(server: Server, root: &Path, id: &str) -> (Server, Vec<u8>) {
    let request = root.join("work/exports").join(id).join("request.json");
    let text = std::fs::read_to_string(&request).unwrap();
    let mut without: serde_json::Value = serde_json::from_str(&text).unwrap();
    without.as_object_mut().unwrap().remove("base").unwrap();
    std::fs::write(&request, without.to_string()).unwrap();
    let folder = root.join("work/exports").join(id);
    for file in ["plan.json", "documents"] {
        std::fs::remove_file(folder.join(file)).unwrap();
    }
    let server = server.killed().await;
    server.frozen(id).await;
    let whole = server.fetch(id).await;
    std::fs::write(&request, text).unwrap();
    (server.killed().await, whole)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delta_and_its_base_are_the_whole_archive_byte_for_byte() {
    let root = tempfile::tempdir().unwrap();
    let mut server = furnished(root.path(), "localhost").await;
    let first = server.export("r0").await;
    let mut archive = server.fetch("r0").await;

    for round in 1..4 {
        let (id, base) = (format!("r{round}"), format!("r{}", round - 1));
        let rows = vec![row(&format!("n-{round:05}"), "{}"), row(&format!("new-{round}"), "{}")];
        server.put_rows("org.example.notes", "notes", rows).await;
        server.put_file("org.example.notes", &format!("Photos/{round}.jpg"), vec![round; 9000]).await;
        server.exports.begin(&id, since(&base), NOW).await.unwrap();
        let view = server.frozen(&id).await;
        assert_eq!(view.base.as_deref(), Some(base.as_str()));
        assert!(view.file_name.ends_with(".delta.pcc.zip"), "{}", view.file_name);
        assert!(view.seq > first.seq && view.payload != first.payload && view.archive_id != first.archive_id);
        assert_eq!(view.counts.unwrap().documents, 2002 + u64::from(round));

        // From the second on it builds on what the one before it has rendered.
        let builds_on = root.path().join(format!("work/exports/{id}/documents-1")).is_file();
        assert_eq!(builds_on, round > 1, "round {round}");

        // In pieces, over kills and lost work files, and after the base was let go of.
        let delta = server.fetch(&id).await;
        assert_eq!(view.bytes, Some(delta.len() as u64));
        assert!(delta.len() < archive.len() / 4, "{} of {}", delta.len(), archive.len());
        let etag = server.exports.frozen(&id).unwrap().etag();
        if round > 1 {
            server.exports.release(&base).await.unwrap();
        }
        std::fs::remove_file(root.path().join(format!("work/exports/{id}/plan.json"))).unwrap();
        server = server.killed().await;
        assert_eq!(server.frozen(&id).await, view);
        assert_eq!(server.exports.frozen(&id).unwrap().etag(), etag);
        let (from, to) = (delta.len() as u64 / 3, delta.len() as u64 / 2);
        assert!(server.fetch_part(&id, from..to).await == delta[from as usize..to as usize]);

        archive = applied(archive, delta);
        let (same, whole) = whole(server, root.path(), &id).await;
        assert!(archive == whole, "round {round}");
        server = same;
        assert_eq!(server.frozen(&id).await.payload.unwrap(), digest(&payload_manifest(&whole)));
    }
}

fn digest(text: &str) -> String {
    export_format::Digest::of(text.as_bytes()).to_string()
}

/// Rounds as those of a move, in which much or little changes, and once the whole content: each is what it would be alone.
#[tokio::test(flavor = "multi_thread")]
async fn rounds_that_build_on_each_other_are_what_each_is_alone() {
    let root = tempfile::tempdir().unwrap();
    let mut server = furnished(root.path(), "localhost").await;
    let text = "x".repeat(4000);
    let long = |n: usize| row(&format!("l-{n:04}"), &format!(r#"{{"n":{n},"text":"{text}"}}"#));
    server.put_rows("org.example.notes", "long", (0..3000).map(long).collect()).await;
    server.export("r0").await;
    let mut archive = server.fetch("r0").await;
    let early = jiff::Timestamp::now().as_millisecond();
    tokio::time::sleep(Duration::from_millis(10)).await;
    for round in 1..8 {
        let (id, base) = (format!("r{round}"), format!("r{}", round - 1));
        match round {
            2 => server.put_rows("org.example.notes", "long", vec![row("l-0005", "{}"), row("l-1500~", "{}")]).await,
            3 => {
                server.put_rows("org.example.fresh", "made", (0..9).map(|n| row(&n.to_string(), "{}")).collect()).await
            }
            4 => {
                let gone = "delete from document_1 where n % 3 = 0; delete from document_2";
                server.home.write(move |db| Ok::<_, Error>(db.execute_batch(gone)?)).await.unwrap();
            }
            5 => drop(server.past.restore("back", early).await.unwrap()),
            6 => server.put_rows("org.example.notes", "long", vec![row("l-2999", "{}"), row("z", "{}")]).await,
            _ => {}
        }
        server.exports.begin(&id, since(&base), NOW).await.unwrap();
        server.frozen(&id).await;
        let taken = root.path().join(format!("work/exports/{id}/documents-1")).is_file();
        assert_eq!(taken, round > 1, "round {round}");
        let own = std::fs::metadata(root.path().join(format!("work/exports/{id}/documents"))).unwrap().len();
        println!("round {round}: {own} bytes rendered");
        archive = applied(archive, server.fetch(&id).await);
        let (same, alone) = whole(server, root.path(), &id).await;
        assert!(archive == alone, "round {round}");
        server = same;
        if round > 2 {
            server.exports.release(&format!("r{}", round - 2)).await.unwrap();
        }
    }
    for round in 0..8 {
        server.exports.release(&format!("r{round}")).await.unwrap();
    }
    let is_over = async || server.number("select count(*) from sqlite_schema where name like '%noted%'").await == 0;
    until("the end of noting", is_over).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delta_is_refused_where_it_could_lead_from_nothing() {
    let root = tempfile::tempdir().unwrap();
    let server = furnished(root.path(), "localhost").await;
    let refused = server.exports.begin("r1", since("r0"), NOW).await;
    assert!(matches!(&refused, Err(Error::Refused(why)) if why.contains("no export r0")), "{refused:?}");
    assert!(matches!(server.exports.view("r1"), Err(Error::Missing(_))), "nothing is left of it");
    server.exports.begin("sealed", asked(Some("correct horse"), true), NOW).await.unwrap();
    server.frozen("sealed").await;
    assert!(matches!(server.exports.begin("r1", since("sealed"), NOW).await, Err(Error::Refused(_))));
    server.export("r0").await;
    server.exports.release("r0").await.unwrap();
    assert!(matches!(server.exports.begin("r1", since("r0"), NOW).await, Err(Error::Refused(_))));
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_comes_behind_the_moment_of_an_export_that_holds_writes() {
    let root = tempfile::tempdir().unwrap();
    let server = Arc::new(furnished(root.path(), "localhost").await);
    let wish = ExportRequest { hold_ms: Some(60_000), ..ExportRequest::default() };
    server.exports.begin("e", wish.clone(), NOW).await.unwrap();
    let view = server.frozen("e").await;
    assert!(view.held_until_ms.is_some());
    let late = {
        let server = server.clone();
        tokio::spawn(async move { server.put_rows("org.example.notes", "notes", vec![row("late", "{}")]).await })
    };
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(!late.is_finished());
    assert_eq!(view.seq, Some(server.home.seq().await.unwrap()));
    server.exports.begin("e", wish, NOW).await.unwrap();

    server.exports.release("e").await.unwrap();
    late.await.unwrap();
    assert!(server.home.seq().await.unwrap() > view.seq.unwrap());
    assert_eq!(server.number("select count(*) from document_1 where _id = 'late'").await, 1);
}
