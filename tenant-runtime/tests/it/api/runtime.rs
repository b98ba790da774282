//! The whole program: started as a host does, woken, stopped, woken again.

use std::fs::File;
use std::os::fd::AsRawFd as _;
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::SigningKey;
use tenant_runtime::launch::{Launch, VARIABLE};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;

use crate::bounds::{PATIENCE, bounded};

/// Starts the program with listeners at descriptors 3 and 4, by way of a shell that puts them there.
pub(super) fn start(launch: &Launch, public: &UnixListener, admin: &UnixListener) -> Child {
    let duplicate = |listener: &UnixListener| {
        let copy = rustix::io::fcntl_dupfd_cloexec(listener, 20).unwrap();
        rustix::io::fcntl_setfd(&copy, rustix::io::FdFlags::empty()).unwrap();
        copy
    };
    let (public, admin) = (duplicate(public), duplicate(admin));
    let script = format!("exec 3<&{} 4<&{} \"$0\"", public.as_raw_fd(), admin.as_raw_fd());
    Command::new("bash")
        .args(["-c", &script, env!("CARGO_BIN_EXE_freehold-runtime")])
        .env(VARIABLE, serde_json::to_string(launch).unwrap())
        .stdin(Stdio::null())
        .stderr(File::options().create(true).append(true).open(log(launch)).unwrap())
        .spawn()
        .unwrap()
}

/// Where the program's log goes.
fn log(launch: &Launch) -> PathBuf {
    launch.cache.with_file_name("log")
}

/// What it logged that somebody must look at.
pub(super) fn errors(launch: &Launch) -> Vec<String> {
    let log = std::fs::read_to_string(log(launch)).unwrap();
    log.lines().filter(|line| line.trim_start().starts_with("ERROR")).map(str::to_owned).collect()
}

async fn ask(socket: &std::path::Path, path: &str) -> String {
    ask_for(socket, path, "*/*").await
}

async fn ask_as_browser(socket: &std::path::Path, path: &str) -> String {
    ask_for(socket, path, "text/html,application/xhtml+xml").await
}

async fn ask_for(socket: &std::path::Path, path: &str, accept: &str) -> String {
    let answered = async {
        let mut stream = UnixStream::connect(socket).await.unwrap();
        let request =
            format!("GET {path} HTTP/1.1\r\nhost: anna.localhost\r\naccept: {accept}\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).await.unwrap();
        text
    };
    bounded(path, answered).await
}

pub(super) async fn end(child: Child) -> Option<i32> {
    rustix::process::kill_process(rustix::process::Pid::from_child(&child), rustix::process::Signal::TERM).unwrap();
    ended(child).await
}

/// The status with which the program ends. One that does not is killed.
async fn ended(mut child: Child) -> Option<i32> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status.code();
        }
        if Instant::now() > deadline {
            child.kill().unwrap();
            child.wait().unwrap();
            panic!("the program did not end");
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn a_runtime_wakes_on_its_listeners_and_sleeps_on_a_signal() {
    let folder = tempfile::tempdir().unwrap();
    let key = SigningKey::from_bytes(&[7; 32]);
    let launch = super::launch(folder.path(), 8080, &key, 1 << 30);
    assert_eq!(launch.provider.handover_key, STANDARD.encode(key.verifying_key().to_bytes()));
    let (public_at, admin_at) = (folder.path().join("public"), folder.path().join("admin"));
    let public = UnixListener::bind(&public_at).unwrap();
    let admin = UnixListener::bind(&admin_at).unwrap();
    for _ in 0..2 {
        // The first request is there before the program is; the listener's backlog keeps it.
        let waiting = tokio::spawn({
            let public_at = public_at.clone();
            async move { ask(&public_at, "/ceps/ping").await }
        });
        let child = start(&launch, &public, &admin);
        let answer = waiting.await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("\"server_type\":\"freehold\""), "{answer}");
        assert!(ask(&admin_at, "/health").await.starts_with("HTTP/1.1 200"));
        assert_eq!(end(child).await, Some(0));
    }
    assert_eq!(errors(&launch), [""; 0]);
}

#[tokio::test]
async fn a_home_of_a_newer_release_is_refused_in_words_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let key = SigningKey::from_bytes(&[7; 32]);
    let launch = super::launch(folder.path(), 8080, &key, 1 << 30);
    {
        let server = tenant_runtime::server::Server::open(launch.clone(), 1).await.unwrap();
        let newer = |db: &rusqlite::Connection| db.pragma_update(None, "user_version", 999);
        server.home.write(move |db| newer(db).map_err(Box::<dyn std::error::Error + Send + Sync>::from)).await.unwrap();
        server.home.sleep().await.unwrap();
    }
    let (public_at, admin_at) = (folder.path().join("public"), folder.path().join("admin"));
    let public = UnixListener::bind(&public_at).unwrap();
    let admin = UnixListener::bind(&admin_at).unwrap();
    let child = start(&launch, &public, &admin);
    let answer = ask(&public_at, "/").await;
    assert!(answer.starts_with("HTTP/1.1 503") && answer.contains("newer release"), "{answer}");
    assert!(answer.contains("application/problem+json") && answer.contains("newer_home"), "{answer}");
    let page = ask_as_browser(&public_at, "/").await;
    assert!(page.contains("waits for its newer release") && page.contains("http-equiv=\"refresh\""), "{page}");
    assert!(ask(&public_at, "/.freehold/style.css").await.starts_with("HTTP/1.1 200"));
    assert_eq!(end(child).await, Some(0));
    let [error] = &errors(&launch)[..] else { panic!("one error is logged") };
    assert!(error.contains("cannot serve") && error.contains("layout 999"), "{error}");
}

#[tokio::test]
async fn a_storage_that_does_not_answer_is_told_and_tried_again_by_the_next_runtime() {
    let folder = tempfile::tempdir().unwrap();
    let key = SigningKey::from_bytes(&[7; 32]);
    let launch = super::launch(folder.path(), 8080, &key, 1 << 30);
    {
        let server = tenant_runtime::server::Server::open(launch.clone(), 1).await.unwrap();
        server.home.sleep().await.unwrap();
    }
    // The store answers every question with an error that passes: a file stands where a folder was.
    let (home, away) = (folder.path().join("home"), folder.path().join("away"));
    std::fs::rename(&home, &away).unwrap();
    std::fs::write(&home, "").unwrap();
    let (public_at, admin_at) = (folder.path().join("public"), folder.path().join("admin"));
    let public = UnixListener::bind(&public_at).unwrap();
    let admin = UnixListener::bind(&admin_at).unwrap();
    let child = start(&launch, &public, &admin);
    let page = ask_as_browser(&public_at, "/").await;
    assert!(page.starts_with("HTTP/1.1 503") && page.contains("storage does not answer"), "{page}");
    assert!(page.contains("http-equiv=\"refresh\"") && page.to_lowercase().contains("retry-after: 5"), "{page}");
    assert!(ask(&admin_at, "/usage").await.contains("storage_busy"));
    // It ends by itself, as one that fell asleep, and the next one finds the storage well.
    assert_eq!(ended(child).await, Some(0));
    std::fs::remove_file(&home).unwrap();
    std::fs::rename(&away, &home).unwrap();
    let child = start(&launch, &public, &admin);
    assert!(ask(&public_at, "/ceps/ping").await.starts_with("HTTP/1.1 200"));
    assert_eq!(end(child).await, Some(0));
    let [error] = &errors(&launch)[..] else { panic!("one error is logged") };
    assert!(error.contains("cannot serve") && error.contains("Not a directory"), "{error}");
}
