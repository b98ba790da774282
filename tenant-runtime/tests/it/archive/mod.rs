//! Leaving and arriving, at the level of a home: no sockets, real storage.

mod arriving;
mod at_home;
mod by_itself;
mod coverage;
mod deltas;
mod following;
mod following_any;
mod following_torn;
mod going_back;
mod haystack;
mod history;
mod leaving;
mod peers;
mod round_trip;
mod schemas;
mod strangers;
mod torn;
mod ways;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures::{TryStreamExt as _, stream};
use tenant_runtime::admin::api::{ExportRequest, ExportState, ExportView, ImportState, ImportView};
use tenant_runtime::archive::Error;
use tenant_runtime::archive::export::{self, Exports};
use tenant_runtime::archive::import::{Imports, OnSwap};
use tenant_runtime::ids::{Generation, ServerId};
use tenant_runtime::launch::{Access, Launch, Limits, Owner, Provider, Site, StorageAt};
use tenant_runtime::past::{self, Past};
use tenant_runtime::store::{Bucket, Home, Options, Place};
use tenant_runtime::{apps, documents, files, permissions, schema, settings};

use crate::bounds::until;

pub(crate) const NOW: i64 = 1_795_255_200_000;

/// One server: a home with its exports and imports, as a runtime holds them.
pub(crate) struct Server {
    pub(crate) home: Home,
    pub(crate) exports: Exports,
    pub(crate) imports: Imports,
    pub(crate) past: Past,
    pub(crate) swaps: Arc<AtomicUsize>,
    pub(crate) launch: Launch,
    root: PathBuf,
}

pub(crate) fn launch(name: &str, domain: &str, storage_bytes: u64) -> Launch {
    Launch {
        server: ServerId::new(NOW),
        generation: Generation(1),
        site: Site { scheme: "http".into(), name: name.into(), domain: domain.into(), port: Some(8080) },
        provider: Provider {
            name: format!("Provider of {domain}"),
            console_origin: format!("http://{domain}:8080"),
            handover_key: String::new(),
        },
        owner: Owner { display_name: "Anna Berg".into() },
        storage: StorageAt::Directory { path: "/nowhere".into() },
        cache: "/nowhere".into(),
        limits: Limits {
            storage_bytes,
            record_bytes: Limits::RECORD_BYTES,
            memory_bytes: 1 << 30,
            undo_days: 30,
            loss_window_ms: 0,
        },
        standing: Access::Full,
        domains: Vec::new(),
    }
}

impl Server {
    /// A server at rest in `root`, woken.
    pub(crate) async fn wake(root: &Path, launch: Launch) -> Self {
        let server = Self::wake_without_resuming(root, launch).await;
        server.exports.resume().unwrap();
        server.imports.resume(NOW).await.unwrap();
        server
    }

    pub(crate) async fn wake_without_resuming(root: &Path, launch: Launch) -> Self {
        let place =
            Place { bucket: Bucket::directory(root.join("bucket")), cache: root.join("cache"), owner: "test".into() };
        let home =
            Home::open(place, Options { history: past::history(&launch.limits), ..Options::default() }).await.unwrap();
        home.write(|db| Ok::<_, Error>(schema::migrate(db)?)).await.unwrap();
        let swaps = Arc::new(AtomicUsize::new(0));
        let count = swaps.clone();
        let on_swap: OnSwap = Arc::new(move || {
            count.fetch_add(1, Ordering::SeqCst);
            Box::pin(async {})
        });
        let exports = Exports::new(home.clone(), launch.clone(), root.join("work/exports"));
        let imports = Imports::new(home.clone(), launch.clone(), root.join("work/imports"), on_swap.clone());
        let past = Past::new(home.clone(), launch.clone(), on_swap);
        Self { home, exports, imports, past, swaps, launch, root: root.to_owned() }
    }

    /// The same server after its process was killed and started again.
    pub(crate) async fn killed(self) -> Self {
        let (root, launch) = (self.root.clone(), self.launch.clone());
        drop(self);
        Self::wake(&root, launch).await
    }

    /// The same server on another host, which has nothing but the objects.
    pub(crate) async fn on_another_host(self) -> Self {
        let (root, launch) = (self.root.clone(), self.launch.clone());
        drop(self);
        for lost in ["cache", "work"] {
            std::fs::remove_dir_all(root.join(lost)).unwrap();
        }
        Self::wake(&root, launch).await
    }

    /// Where the work files of an import lie.
    pub(crate) fn work(&self, id: &str) -> PathBuf {
        self.root.join("work/imports").join(id)
    }

    pub(crate) async fn export(&self, id: &str) -> ExportView {
        self.exports.begin(id, asked(None, false), NOW).await.unwrap();
        self.frozen(id).await
    }

    pub(crate) async fn frozen(&self, id: &str) -> ExportView {
        until("an export that is ready", async || self.exports.view(id).unwrap().state != ExportState::Freezing).await;
        let view = self.exports.view(id).unwrap();
        assert_eq!(view.state, ExportState::Ready, "{:?}", view.error);
        view
    }

    /// The bytes of an export in one go.
    pub(crate) async fn fetch(&self, id: &str) -> Vec<u8> {
        let frozen = self.exports.frozen(id).unwrap();
        let len = frozen.len();
        self.fetch_part(id, 0..len).await
    }

    pub(crate) async fn fetch_part(&self, id: &str, range: std::ops::Range<u64>) -> Vec<u8> {
        let frozen = self.exports.frozen(id).unwrap();
        let parts: Vec<Bytes> = export::stream(self.home.clone(), frozen, range).try_collect().await.unwrap();
        parts.concat()
    }

    pub(crate) async fn upload(&self, id: &str, archive: &[u8]) {
        self.imports.begin(id, archive.len() as u64, NOW).await.unwrap();
        let at = self.imports.offset(id).unwrap();
        let parts: Vec<Result<Bytes, String>> =
            archive[at as usize..].chunks(64 * 1024).map(|part| Ok(Bytes::copy_from_slice(part))).collect();
        self.imports.upload(id, at, stream::iter(parts)).await.unwrap();
    }

    pub(crate) async fn settled(&self, id: &str) -> ImportView {
        let at_work = |state| {
            matches!(
                state,
                ImportState::Checking
                    | ImportState::Staging
                    | ImportState::Verifying
                    | ImportState::CatchingUp
                    | ImportState::Swapping
            )
        };
        let settled = async || !at_work(self.imports.view(id).await.unwrap().state);
        until("an import that waits or has ended", settled).await;
        self.imports.view(id).await.unwrap()
    }

    /// Upload and check; no consent yet.
    pub(crate) async fn offer(&self, id: &str, archive: &[u8]) -> ImportView {
        self.upload(id, archive).await;
        self.imports.check(id).await.unwrap();
        self.settled(id).await
    }

    /// The whole way in.
    pub(crate) async fn import(&self, id: &str, archive: &[u8]) -> ImportView {
        let view = self.offer(id, archive).await;
        assert_eq!(view.state, ImportState::Checked, "{:?}", view.error);
        self.imports.confirm(id).await.unwrap();
        self.settled(id).await
    }

    /// Files an app has, by path, as an upload would make them.
    pub(crate) async fn put_file(&self, app: &str, path: &str, content: Vec<u8>) {
        let blob = self.home.blobs().put(stream::iter([Ok(Bytes::from(content))]), None).await.unwrap();
        let file = files::FileRecord {
            app: app.parse().unwrap(),
            path: path.parse().unwrap(),
            digest: blob.digest,
            size: blob.size,
            crc32: blob.crc32,
            mime: "image/jpeg".into(),
            created: NOW - 5000,
            modified: NOW - 1000,
        };
        self.home.write(move |db| Ok::<_, Error>(files::put(db, &file)?)).await.unwrap();
    }

    pub(crate) async fn put_rows(&self, app: &str, table: &str, rows: Vec<documents::Row>) {
        let table = documents::TableName::new(&app.parse().unwrap(), table).unwrap();
        self.home.write(move |db| Ok::<_, Error>(documents::put_kept(db, &table, &rows)?)).await.unwrap();
    }

    pub(crate) async fn install(&self, id: &str, code: &[(&str, &str)]) {
        let mut list = Vec::new();
        for (path, text) in code {
            let blob = self.home.blobs().put(stream::iter([Ok(Bytes::from(text.to_string()))]), None).await.unwrap();
            let (digest, size, crc32) = (blob.digest, blob.size, blob.crc32);
            list.push(apps::CodeFile { path: (*path).into(), digest, size, crc32, mime: "text/plain".into() });
        }
        list.sort_by(|a, b| a.path.cmp(&b.path));
        let app = apps::AppRecord {
            id: id.parse().unwrap(),
            label: id.rsplit('.').next().unwrap().into(),
            name: format!("App {id}"),
            version: "1.2.3".into(),
            manifest: r#"{"identifier":"x","pages":{"index":{}}}"#.into(),
            release: 1,
            installed: NOW - 9000,
            updated: NOW - 9000,
            removed: None,
            keeping: apps::Keeping {
                maker: Some("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIIqI4910CfGV/VLbLTy6XXLKZwm/HZQSG/N0iAG0D29c".into()),
                pinned: true,
                ..apps::Keeping::default()
            },
        };
        let asked = permissions::Permission {
            app: app.id.clone(),
            name: "friends".into(),
            kind: "read_all".into(),
            tables: vec!["dev.ceps.contacts".into()],
            description: "To name people".into(),
            status: permissions::Status::Granted,
            asked: NOW - 8000,
            decided: Some(NOW - 7000),
        };
        self.home
            .write(move |db| {
                apps::put(db, &app, &list)?;
                permissions::put(db, &asked)?;
                settings::put(db, "language", "de").map_err(Error::from)
            })
            .await
            .unwrap();
    }

    /// One number out of the live database.
    pub(crate) async fn number(&self, sql: &str) -> i64 {
        let sql = sql.to_owned();
        self.home.read(move |db| Ok::<_, Error>(db.query_row(&sql, [], |row| row.get(0))?)).await.unwrap()
    }
}

/// The wish for an export.
pub(crate) fn asked(passphrase: Option<&str>, sealed: bool) -> ExportRequest {
    ExportRequest { passphrase: passphrase.map(str::to_owned), sealed, ..ExportRequest::default() }
}

pub(crate) fn row(id: &str, doc: &str) -> documents::Row {
    documents::Row { id: id.into(), created: NOW - 2000, modified: NOW - 1000, doc: doc.into() }
}

/// A server with something of everything.
pub(crate) async fn furnished(root: &Path, domain: &str) -> Server {
    let server = Server::wake(root, launch("anna", domain, 1 << 30)).await;
    server.install("org.example.notes", &[("index.html", "<p>Notes</p>"), ("js/a b?.js", "let x = 1")]).await;
    let rows = (0..2000).map(|n| {
        row(&format!("n-{n:05}"), &format!(r#"{{"n":{n},"big":9007199254740993,"f":0.1,"title":"Grüße {n}"}}"#))
    });
    server.put_rows("org.example.notes", "notes", rows.collect()).await;
    server.put_rows("org.example.notes", "", vec![row("own", "{}")]).await;
    server.put_rows("dev.ceps.contacts", "", vec![row("bob", r#"{"username":"bob"}"#)]).await;
    server.put_file("org.example.notes", "Photos/IMG_0001.jpg", vec![7; 5000]).await;
    server.put_file("org.example.notes", "Photos/img_0001.JPG", vec![8; 700_000]).await;
    server.put_file("org.example.notes", "empty", Vec::new()).await;
    server
}

/// The payload manifest of an archive, as any unzip program sees it.
pub(crate) fn payload_manifest(archive: &[u8]) -> String {
    let mut zip = zip::ZipArchive::new(std::io::Cursor::new(archive)).unwrap();
    let mut text = String::new();
    std::io::Read::read_to_string(&mut zip.by_name("manifest-sha256.txt").unwrap(), &mut text).unwrap();
    text
}

pub(crate) fn sample() -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../export-format/tests/vectors/alice.example-1.0.pcc.zip");
    std::fs::read(path).unwrap()
}
