//! What cannot be timed from outside: a yes that comes between a report and the end of the task that wrote it.
#![allow(clippy::unwrap_used)]

use futures::{FutureExt as _, stream};

use super::*;
use crate::ids::{Generation, ServerId};
use crate::launch::{Access, Limits, Owner, Provider, Site, StorageAt};
use crate::store::{Bucket, Options, Place};

fn launch() -> Launch {
    Launch {
        server: ServerId::new(1),
        generation: Generation(1),
        site: Site { scheme: "http".into(), name: "anna".into(), domain: "localhost".into(), port: None },
        provider: Provider { name: "P".into(), console_origin: "http://x".into(), handover_key: String::new() },
        owner: Owner { display_name: "Anna".into() },
        storage: StorageAt::Directory { path: "/nowhere".into() },
        cache: "/nowhere".into(),
        limits: Limits { storage_bytes: 1 << 30, record_bytes: 1, memory_bytes: 1, undo_days: 30, loss_window_ms: 0 },
        standing: Access::Full,
        domains: Vec::new(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_yes_that_comes_before_the_check_is_over_is_heard() {
    let root = tempfile::tempdir().unwrap();
    let place =
        Place { bucket: Bucket::directory(root.path().join("b")), cache: root.path().join("c"), owner: "test".into() };
    let home = Home::open(place, Options::default()).await.unwrap();
    home.write(|tx| crate::schema::migrate(tx).map_err(Error::from)).await.unwrap();
    let on_swap: OnSwap = Arc::new(|| async {}.boxed());
    let imports = Imports::new(home, launch(), root.path().join("work"), on_swap);
    let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("../export-format/tests/vectors/alice.example-1.0.pcc.zip");
    let archive = Bytes::from(std::fs::read(sample).unwrap());
    imports.begin("op", archive.len() as u64, 1).await.unwrap();
    imports.upload("op", 0, stream::iter([Ok::<_, String>(archive)])).await.unwrap();

    // The check, up to where its report can be seen.
    imports.job("op").unwrap().set(&imports.folder("op"), ImportState::Checking).unwrap();
    let progress = imports.inner.running.begin("op").unwrap();
    imports.work_now("op", Work::Check, progress).await.unwrap();
    assert_eq!(imports.view("op").await.unwrap().state, ImportState::Checked);
    imports.confirm("op").await.unwrap();
    // And its end.
    imports.rest("op");

    let done = async {
        while imports.view("op").await.unwrap().state != ImportState::Done {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), done).await.expect("somebody goes on with it");
}
