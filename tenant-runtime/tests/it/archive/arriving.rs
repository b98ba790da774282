//! Taking archives in: the stranger's sample, refusals, undo, and crashes in between.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_strangers_archive_comes_in_and_leaves_again_byte_for_byte() {
    let root = tempfile::tempdir().unwrap();
    let server = Server::wake(root.path(), launch("alice", "other.localhost", 1 << 30)).await;
    let archive = sample();

    let offered = server.offer("op_1", &archive).await;
    assert_eq!(offered.state, ImportState::Checked, "{:?}", offered.error);
    let report = offered.report.unwrap();
    assert!(report.acceptable);
    assert_eq!((report.counts.documents, report.counts.files, report.counts.apps), (2, 1, 2));
    assert_eq!(report.domain, "alice.example");
    assert_eq!(report.schedules_paused, 1);
    assert!(report.apps.iter().any(|app| app.id == "org.matrix.conduit" && app.dormant.is_some()));
    assert_eq!(report.grants.len(), 2);
    assert!(report.left_out.iter().any(|left| left.what == "passkeys"));
    assert_eq!(server.number("select count(*) from collection").await, 0, "nothing changes before consent");

    server.imports.confirm("op_1").await.unwrap();
    let done = server.settled("op_1").await;
    assert_eq!(done.state, ImportState::Done, "{:?}", done.error);
    assert_eq!(server.swaps.load(Ordering::SeqCst), 1);
    assert_eq!(server.number("select count(*) from file").await, 1);
    assert_eq!(server.number("select count(*) from document_1").await, 2);

    server.export("back").await;
    let back = server.fetch("back").await;
    assert_eq!(payload_manifest(&back), payload_manifest(&archive));
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_change_our_own_words_go_out_and_the_strangers_stay_in() {
    let root = tempfile::tempdir().unwrap();
    let server = Server::wake(root.path(), launch("alice", "localhost", 1 << 30)).await;
    assert_eq!(server.import("op_1", &sample()).await.state, ImportState::Done);
    server.put_rows("org.freezr.notes", "notes", vec![row("n-79", r#"{"title":"new"}"#)]).await;

    server.export("changed").await;
    let changed = server.fetch("changed").await;
    let other = tempfile::tempdir().unwrap();
    let other = Server::wake(other.path(), launch("bob", "localhost", 1 << 30)).await;
    assert_eq!(other.import("op_2", &changed).await.state, ImportState::Done);
    assert_eq!(other.number("select count(*) from document_1").await, 3);
    let manifest = payload_manifest(&changed);
    for carried in [
        "data/messages/ceps/inbox.ndjson",
        "data/apps/org.matrix.conduit/volumes/db/conduit.sqlite",
        "data/contacts/contacts.vcf",
    ] {
        let line = payload_manifest(&sample()).lines().find(|line| line.ends_with(carried)).unwrap().to_owned();
        assert!(manifest.contains(&line), "{carried}");
    }
    let mut zip = zip::ZipArchive::new(std::io::Cursor::new(&changed)).unwrap();
    let app: serde_json::Value =
        serde_json::from_reader(zip.by_name("data/apps/org.freezr.notes/app.json").unwrap()).unwrap();
    assert_eq!(app["origin"], "https://apps.example/org.freezr.notes");
    assert_eq!(app["tables"][0]["count"], 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_replaced_can_be_brought_back() {
    let root = tempfile::tempdir().unwrap();
    let server = furnished(root.path(), "localhost").await;
    server.export("before").await;
    let before = payload_manifest(&server.fetch("before").await);
    assert_eq!(server.import("op_1", &sample()).await.state, ImportState::Done);
    assert_eq!(server.number("select count(*) from app where id = 'org.example.notes'").await, 0);

    let undone = server.imports.undo("op_1").await.unwrap();
    assert_eq!(undone.state, ImportState::Undone);
    let again = server.imports.undo("op_1").await.unwrap();
    assert_eq!(again.state, ImportState::Undone);
    server.export("after").await;
    assert_eq!(payload_manifest(&server.fetch("after").await), before);

    let server = server.killed().await;
    assert_eq!(server.imports.view("op_1").await.unwrap().state, ImportState::Undone);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_can_be_undone_even_when_its_work_files_are_lost() {
    let root = tempfile::tempdir().unwrap();
    let server = furnished(root.path(), "localhost").await;
    assert_eq!(server.import("op_1", &sample()).await.state, ImportState::Done);
    std::fs::remove_dir_all(root.path().join("work")).unwrap();
    let server = server.killed().await;
    assert_eq!(server.imports.view("op_1").await.unwrap().state, ImportState::Done);
    assert_eq!(server.imports.undo("op_1").await.unwrap().state, ImportState::Undone);
    assert_eq!(server.number("select count(*) from app where id = 'org.example.notes'").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn damaged_archives_are_refused_and_nothing_changes() {
    let root = tempfile::tempdir().unwrap();
    let server = furnished(root.path(), "localhost").await;
    server.export("before").await;
    let before = payload_manifest(&server.fetch("before").await);
    let good = sample();
    let mut damaged = vec![
        ("zeros", vec![0; good.len()]),
        ("truncated", good[..good.len() - 1].to_vec()),
        ("half", good[..good.len() / 2].to_vec()),
    ];
    for at in [100, good.len() / 3, good.len() / 2, good.len() - 30] {
        let mut flipped = good.clone();
        flipped[at] ^= 0x10;
        damaged.push(("flipped", flipped));
    }
    for (n, (what, archive)) in damaged.into_iter().enumerate() {
        let view = server.offer(&format!("op_{n}"), &archive).await;
        assert_eq!(view.state, ImportState::Failed, "{what}");
        assert!(!view.report.unwrap().findings.is_empty(), "{what}");
        assert!(view.error.unwrap().contains("nothing was changed"), "{what}");
        assert!(server.imports.confirm(&format!("op_{n}")).await.is_err(), "{what}");
    }
    assert_eq!(server.swaps.load(Ordering::SeqCst), 0);
    server.export("after").await;
    assert_eq!(payload_manifest(&server.fetch("after").await), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_archive_that_cannot_fit_is_refused_before_a_byte_is_sent() {
    let root = tempfile::tempdir().unwrap();
    let server = Server::wake(root.path(), launch("anna", "localhost", 20_000)).await;
    let error = server.imports.begin("huge", 10_000_000_000, NOW).await.unwrap_err();
    assert!(matches!(&error, Error::Full(why) if why.contains("10.0 GB") && why.contains("20.0 kB")), "{error}");

    // The small one is announced within the plan, but unpacks to more.
    let mut small = launch("anna", "localhost", 20_000);
    small.limits.storage_bytes = sample().len() as u64;
    let root = tempfile::tempdir().unwrap();
    let server = furnished(root.path(), "localhost").await;
    server
        .put_rows("org.example.notes", "wide", vec![row("w", &format!(r#"{{"t":"{}"}}"#, "a".repeat(100_000)))])
        .await;
    server.export("e").await;
    let archive = server.fetch("e").await;
    let root = tempfile::tempdir().unwrap();
    let tight = Server::wake(root.path(), launch("anna", "localhost", archive.len() as u64)).await;
    let view = tight.offer("op", &archive).await;
    assert_eq!(view.state, ImportState::Checked);
    let report = view.report.unwrap();
    assert!(!report.acceptable && report.findings[0].contains("your plan has room for"), "{:?}", report.findings);
    assert!(tight.imports.confirm("op").await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_goes_on_where_it_broke_off() {
    let root = tempfile::tempdir().unwrap();
    let server = Server::wake(root.path(), launch("anna", "localhost", 1 << 30)).await;
    let archive = sample();
    server.imports.begin("op", archive.len() as u64, NOW).await.unwrap();
    let part = |bytes: &[u8]| Ok::<_, String>(Bytes::copy_from_slice(bytes));
    let broken = stream::iter([part(&archive[..1000]), part(&archive[1000..1500]), Err("the line was cut".to_owned())]);
    let error = server.imports.upload("op", 0, broken).await.unwrap_err();
    assert!(error.to_string().contains("go on at 1500"), "{error}");

    let server = server.killed().await;
    assert_eq!(server.imports.offset("op").unwrap(), 1500);
    assert!(server.imports.check("op").await.is_err(), "half an archive is not checked");
    assert!(server.imports.upload("op", 1000, stream::iter([part(b"x")])).await.is_err(), "a wrong offset");
    let too_long = stream::iter([part(&archive[1500..]), part(b"and more")]);
    assert!(server.imports.upload("op", 1500, too_long).await.is_err());
    assert_eq!(server.imports.offset("op").unwrap(), archive.len() as u64);
    server.imports.check("op").await.unwrap();
    assert_eq!(server.settled("op").await.state, ImportState::Checked);
}

/// The process dies at every moment of an import that a timer can hit; afterwards the content is the former or the
/// archive's, whole, and the import goes on to its end by itself.
#[tokio::test(flavor = "multi_thread")]
async fn a_crash_leaves_exactly_the_old_or_the_new() {
    let source = tempfile::tempdir().unwrap();
    let source = furnished(source.path(), "localhost").await;
    source.export("e").await;
    let archive = source.fetch("e").await;
    let wanted = payload_manifest(&archive);

    for delay in [0_u64, 2, 5, 10, 20, 40, 80, 160] {
        let root = tempfile::tempdir().unwrap();
        let old = {
            let server = Server::wake(root.path(), launch("anna", "localhost", 1 << 30)).await;
            server.put_rows("org.example.old", "t", vec![row("a", r#"{"old":true}"#)]).await;
            server.export("old").await;
            let old = payload_manifest(&server.fetch("old").await);
            assert_eq!(server.offer("op", &archive).await.state, ImportState::Checked);
            server.home.sleep().await.unwrap();
            old
        };
        // The import runs in a runtime of its own, which is torn down in the middle.
        let (path, handle) = (root.path().to_owned(), std::thread::spawn);
        handle(move || {
            let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
            runtime.block_on(async {
                let server = Server::wake(&path, launch("anna", "localhost", 1 << 30)).await;
                server.imports.confirm("op").await.unwrap();
                tokio::time::sleep(Duration::from_millis(delay)).await;
            });
            runtime.shutdown_timeout(Duration::from_secs(20));
        })
        .join()
        .unwrap();

        let server = Server::wake_without_resuming(root.path(), launch("anna", "localhost", 1 << 30)).await;
        server.export("seen").await;
        let seen = payload_manifest(&server.fetch("seen").await);
        assert!(seen == old || seen == wanted, "after {delay} ms the content is neither the old nor the new");

        let server = server.killed().await;
        let view = server.settled("op").await;
        assert_eq!(view.state, ImportState::Done, "{delay} ms: {:?}", view.error);
        server.export("end").await;
        assert_eq!(payload_manifest(&server.fetch("end").await), wanted, "{delay} ms");
        assert_eq!(server.imports.undo("op").await.unwrap().state, ImportState::Undone);
        server.export("undone").await;
        assert_eq!(payload_manifest(&server.fetch("undone").await), old, "{delay} ms");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_comes_along_who_could_act_as_the_owner() {
    let root = tempfile::tempdir().unwrap();
    let source = furnished(root.path(), "localhost").await;
    let session = "insert into session values ('s', 'owner', null, 'phone', 1, 1, 9999999999999)";
    source.home.write(move |db| Ok::<_, Error>(db.execute_batch(session)?)).await.unwrap();
    source.export("e").await;
    let archive = source.fetch("e").await;

    let root = tempfile::tempdir().unwrap();
    let target = Server::wake(root.path(), launch("anna", "other.localhost", 1 << 30)).await;
    let keep = "insert into session values ('mine', 'owner', null, 'laptop', 1, 1, 9999999999999);
                insert into session values ('app', 'app', 'org.example.old', 'laptop', 1, 1, 9999999999999);
                insert into burnt_ticket values ('nonce', 9999999999999);";
    target.home.write(move |db| Ok::<_, Error>(db.execute_batch(keep)?)).await.unwrap();
    assert_eq!(target.import("op", &archive).await.state, ImportState::Done);
    assert_eq!(target.number("select count(*) from session where id = 's'").await, 0);
    assert_eq!(target.number("select count(*) from session where id = 'app'").await, 0);
    assert_eq!(
        target.number("select count(*) from session where id = 'mine'").await,
        1,
        "who is signed in here stays so"
    );
    assert_eq!(target.number("select count(*) from burnt_ticket").await, 1, "a used link stays used");
    assert_eq!(
        target.number("select count(*) from permission where status = 'granted'").await,
        0,
        "grants are asked again"
    );
    assert_eq!(target.number("select count(*) from permission where status = 'pending'").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn taking_an_import_back_signs_nobody_in_again() {
    let root = tempfile::tempdir().unwrap();
    let server = furnished(root.path(), "localhost").await;
    let before = "insert into session values ('stolen', 'owner', null, 'phone', 1, 1, 9999999999999);
                  insert into session values ('app', 'app', 'org.example.notes', 'laptop', 1, 1, 9999999999999);
                  insert into session values ('mine', 'owner', null, 'laptop', 1, 1, 9999999999999);";
    server.home.write(move |db| Ok::<_, Error>(db.execute_batch(before)?)).await.unwrap();
    assert_eq!(server.import("op", &sample()).await.state, ImportState::Done);
    let since = "delete from session where id = 'stolen';
                 insert into burnt_ticket values ('nonce', 9999999999999);";
    server.home.write(move |db| Ok::<_, Error>(db.execute_batch(since)?)).await.unwrap();

    assert_eq!(server.imports.undo("op").await.unwrap().state, ImportState::Undone);
    assert_eq!(server.number("select count(*) from session where id = 'stolen'").await, 0, "it was signed out");
    assert_eq!(server.number("select count(*) from session where id = 'app'").await, 0, "programs sign in anew");
    assert_eq!(server.number("select count(*) from session where id = 'mine'").await, 1);
    assert_eq!(server.number("select count(*) from burnt_ticket").await, 1, "a used link stays used");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sealed_archive_asks_for_its_passphrase_until_it_is_right() {
    let root = tempfile::tempdir().unwrap();
    let source = furnished(&root.path().join("a"), "localhost").await;
    source.exports.begin("e", asked(Some("correct horse"), true), NOW).await.unwrap();
    source.frozen("e").await;
    let archive = source.fetch("e").await;

    let mut target = Server::wake(&root.path().join("b"), launch("berta", "other.localhost", 1 << 30)).await;
    let view = target.offer("i", &archive).await;
    assert_eq!((view.state, &view.report), (ImportState::Locked, &None), "{:?}", view.error);
    assert!(matches!(target.imports.confirm("i").await, Err(Error::State(_))));
    for wrong in ["", "Correct horse", "battery staple"] {
        let refused = target.imports.unlock("i", wrong.into()).await;
        assert!(matches!(&refused, Err(Error::Refused(why)) if why.contains("not the passphrase")), "{refused:?}");
        assert_eq!(target.imports.view("i").await.unwrap().state, ImportState::Locked);
    }
    // A kill between any two steps loses nothing.
    target = target.killed().await;
    assert_eq!(target.imports.view("i").await.unwrap().state, ImportState::Locked);
    target.imports.unlock("i", "correct horse".into()).await.unwrap();
    let view = target.settled("i").await;
    assert_eq!(view.state, ImportState::Checked, "{:?}", view.error);
    target = target.killed().await;
    target.imports.confirm("i").await.unwrap();
    let view = target.settled("i").await;
    assert_eq!(view.state, ImportState::Done, "{:?}", view.error);
    let left = || -> Vec<_> {
        let files = std::fs::read_dir(root.path().join("b/work/imports/i")).unwrap();
        files.map(|file| file.unwrap().file_name()).collect()
    };
    // It is done a moment before its work files go.
    for _ in 0..2000 {
        if left().len() == 1 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(left(), ["job.json"], "neither the archive nor what opens it is left");
    target.export("again").await;
    let inside = {
        let mut plain = Vec::new();
        let key = export_format::sealed::Key::passphrase("correct horse");
        std::io::Read::read_to_end(&mut export_format::sealed::Forward::open(&archive[..], &key).unwrap(), &mut plain)
            .unwrap();
        plain
    };
    assert_eq!(payload_manifest(&target.fetch("again").await), payload_manifest(&inside));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sealed_archive_that_is_damaged_or_sealed_to_a_key_changes_nothing() {
    let root = tempfile::tempdir().unwrap();
    let source = furnished(&root.path().join("a"), "localhost").await;
    source.exports.begin("e", asked(Some("correct horse"), true), NOW).await.unwrap();
    source.frozen("e").await;
    let archive = source.fetch("e").await;
    let target = Server::wake(&root.path().join("b"), launch("berta", "other.localhost", 1 << 30)).await;
    for (id, damaged) in [
        ("cut", archive[..archive.len() - 70_000].to_vec()),
        ("changed", {
            let mut changed = archive.clone();
            let middle = changed.len() / 2;
            changed[middle] ^= 1;
            changed
        }),
    ] {
        assert_eq!(target.offer(id, &damaged).await.state, ImportState::Locked);
        target.imports.unlock(id, "correct horse".into()).await.unwrap();
        let view = target.settled(id).await;
        assert_eq!(view.state, ImportState::Failed, "{id}");
        assert!(view.error.as_ref().unwrap().contains("nothing was changed"), "{:?}", view.error);
    }
    let recipient = age::x25519::Identity::generate().to_public();
    let to_a_key = age::encrypt(&recipient, b"whatever").unwrap();
    let view = target.offer("key", &to_a_key).await;
    assert_eq!(view.state, ImportState::Failed);
    assert!(view.error.as_ref().unwrap().contains("sealed to a key"), "{:?}", view.error);
    assert_eq!(target.swaps.load(Ordering::SeqCst), 0);
}
