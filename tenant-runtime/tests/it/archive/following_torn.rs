//! Cut off anywhere: on the way from one round to the next, and while it goes live.

use std::path::Path;

use export_format::moving::Signed;

use super::following::{between, live_on, payload_of, two};
use super::*;

/// A folder as it is now, in another place.
fn copied(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let (path, to) = (entry.as_ref().unwrap().path(), to.join(entry.unwrap().file_name()));
        match path.is_dir() {
            true => copied(&path, &to),
            false => assert!(std::fs::copy(&path, &to).is_ok()),
        }
    }
}

fn woken() -> Launch {
    launch("bea", "new.localhost", 1 << 30)
}

/// Does something in a runtime of its own that ends after a while, wherever it is by then.
fn cut_off<F: Future<Output = ()> + 'static>(root: &Path, after: Duration, work: fn(Server) -> F) {
    let root = root.to_owned();
    let thread = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(async {
            let server = Server::wake(&root, woken()).await;
            let _ = tokio::time::timeout(after, work(server)).await;
        });
        runtime.shutdown_timeout(Duration::from_secs(20));
    });
    thread.join().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_round_that_is_cut_off_anywhere_is_put_in_by_the_next_process() {
    let root = tempfile::tempdir().unwrap();
    let (source, target) = two(root.path()).await;
    let first = source.archived("m-0").await;
    live_on(&source, 1).await;
    let second = source.archived("m-1").await;
    let delta = between(&first, &second);
    target.follow("op", &first).await;
    target.imports.announce("op", 1, delta.len() as u64).await.unwrap();
    let part = [Ok::<_, String>(Bytes::from(delta))];
    target.imports.upload_round("op", 1, 0, stream::iter(part)).await.unwrap();
    target.home.sleep().await.unwrap();
    for after in [0, 30, 100, 200, 300, 450, 700, 1100] {
        let place = root.path().join(format!("{after}"));
        copied(&root.path().join("new"), &place);
        cut_off(&place, Duration::from_millis(after), |target: Server| async move {
            target.imports.apply("op", 1).await.unwrap();
            target.settled("op").await;
        });
        let there = Server::wake(&place, woken()).await;
        there.imports.apply("op", 1).await.unwrap();
        let view = there.settled("op").await;
        assert_eq!((view.state, view.round), (ImportState::Following, Some(1)), "{after} ms: {:?}", view.error);
        assert_eq!(view.payload, Some(payload_of(&second)), "{after} ms");
        let word = source.hand_over(&there, &payload_of(&second), 2).await;
        there.activate("op", word, Vec::new()).await.unwrap();
        assert_eq!(payload_manifest(&there.archived("on").await), payload_manifest(&second), "{after} ms");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn it_goes_live_wholly_or_not_at_all() {
    let root = tempfile::tempdir().unwrap();
    let (source, target) = two(root.path()).await;
    target.put_rows("org.example.own", "", vec![row("before", "{}")]).await;
    let archive = source.archived("m-0").await;
    target.follow("op", &archive).await;
    let word: Signed = source.hand_over(&target, &payload_of(&archive), 7).await;
    let old = payload_manifest(&target.archived("old").await);
    target.home.sleep().await.unwrap();
    std::fs::write(root.path().join("new/word.json"), serde_json::to_vec(&word).unwrap()).unwrap();
    let mut seen = [false; 2];
    for after in [0, 20, 50, 80, 120, 160, 200, 300, 500, 900] {
        let place = root.path().join(format!("{after}"));
        copied(&root.path().join("new"), &place);
        cut_off(&place, Duration::from_millis(after), |target: Server| async move {
            let word = std::fs::read(target.work("op").join("../../../word.json")).unwrap();
            target.activate("op", serde_json::from_slice(&word).unwrap(), Vec::new()).await.unwrap();
        });
        let there = Server::wake_without_resuming(&place, woken()).await;
        let live = payload_manifest(&there.archived("seen").await);
        let epoch = there.number(
            "select coalesce(max(cast(cast(value as text) as integer)), 1) from secret where name = 'move.epoch'",
        );
        let is_new = live == payload_manifest(&archive);
        assert!(is_new || live == old, "{after} ms: neither the old nor the new");
        assert_eq!(epoch.await, if is_new { 7 } else { 1 }, "{after} ms");
        seen[usize::from(is_new)] = true;
        let there = there.killed().await;
        let state = there.imports.view("op").await.unwrap().state;
        assert_eq!(state, if is_new { ImportState::Done } else { ImportState::Following }, "{after} ms");
        let done = there.activate("op", word.clone(), Vec::new()).await.unwrap();
        assert_eq!(there.activate("op", word.clone(), Vec::new()).await.unwrap(), done);
        assert_eq!(payload_manifest(&there.archived("end").await), payload_manifest(&archive), "{after} ms");
        assert_eq!(there.imports.undo("op").await.unwrap().state, ImportState::Undone);
        assert_eq!(payload_manifest(&there.archived("undone").await), old, "{after} ms");
    }
    assert!(seen[0], "none was cut off before it was live");
}

/// The stage as a round leaves it that was cut off somewhere and will not come again.
pub(super) async fn halfway(target: &Server) {
    let staged = target.home.stage("import-op").await.unwrap();
    let spoil = |db: &rusqlite::Connection| {
        db.execute_batch(
            "delete from document_1 where n % 3 = 0; delete from file; delete from setting; delete from archive_echo_entry;
             update secret set value = cast('{\"towards\":99}' as blob) where name = 'import.stands';",
        )?;
        Ok::<_, Error>(())
    };
    staged.write(spoil).await.unwrap();
    staged.sleep().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stage_that_was_left_halfway_is_built_anew_before_anything_builds_on_it() {
    let root = tempfile::tempdir().unwrap();
    let (source, target) = two(root.path()).await;
    let first = source.archived("m-0").await;
    live_on(&source, 1).await;
    let second = source.archived("m-1").await;
    live_on(&source, 2).await;
    let third = source.archived("m-2").await;
    target.follow("op", &first).await;
    target.round("op", 1, &between(&first, &second)).await;
    halfway(&target).await;
    let view = target.round("op", 2, &between(&second, &third)).await;
    assert_eq!((view.round, view.payload, view.error), (Some(2), Some(payload_of(&third)), None));
    // The same in another process, and before it goes live.
    halfway(&target).await;
    let target = target.killed().await;
    let word = source.hand_over(&target, &payload_of(&third), 2).await;
    let error = target.activate("op", word.clone(), Vec::new()).await.unwrap_err();
    assert!(matches!(error, Error::State(_)), "{error}");
    let view = target.settled("op").await;
    assert_eq!((view.state, view.round, view.payload), (ImportState::Following, Some(2), Some(payload_of(&third))));
    target.activate("op", word, Vec::new()).await.unwrap();
    assert_eq!(payload_manifest(&target.archived("on").await), payload_manifest(&third));
}
