//! `freehold app run`: the app on a server of its own on this machine. Whenever a file changes it is handed over anew, and pages
//! that are open load themselves again.
//!
//! The server is `freehold-runtime serve`, the very program that serves apps elsewhere. What is handed over goes through a socket
//! in a folder of ours (`--develop`); the server's data lies in the hidden folder `.freehold` of the app and stays from run to run.

use std::collections::BTreeMap;
use std::error::Error;
use std::io::{Read as _, Write as _};
use std::net::SocketAddr;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant, SystemTime};

use control_plane::catalogue::AppFolder;
use tenant_runtime::apps::check::check;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::sleep;

use super::tell;
use crate::catalogue::chain;

/// How often files are looked at.
const PACE: Duration = Duration::from_millis(250);
/// How long the server may take to listen.
const PATIENCE: Duration = Duration::from_secs(20);

/// Runs until interrupted.
pub(super) fn run(folder: &Path, data: Option<PathBuf>, listen: SocketAddr) -> Result<(), Box<dyn Error>> {
    let mut seen = state(folder)?;
    let app = AppFolder::read(folder).map_err(chain)?;
    tell(&check(app.files()));
    let data = data.unwrap_or_else(|| folder.join(".freehold"));
    let way = tempdir()?;
    let socket = way.join("app.sock");
    let mut server = Command::new(infra::binaries::find("freehold-runtime")?)
        .arg("serve")
        .arg("--data")
        .arg(&data)
        .arg("--listen")
        .arg(listen.to_string())
        .arg("--develop")
        .arg(&socket)
        .env("RUST_LOG", std::env::var("RUST_LOG").unwrap_or_else(|_| "warn".to_owned()))
        .spawn()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let done = runtime.block_on(async {
        tokio::select! {
            done = follow(folder, &socket, &mut server, &mut seen, &app) => done,
            stopped = stopped() => Ok(stopped?),
        }
    });
    end(&mut server);
    let _ = std::fs::remove_dir_all(&way);
    done
}

/// Resolves when the program is asked to stop.
async fn stopped() -> std::io::Result<()> {
    let mut term = signal(SignalKind::terminate())?;
    tokio::select! {
        _ = term.recv() => Ok(()),
        asked = tokio::signal::ctrl_c() => asked,
    }
}

/// Lets the server put its home to sleep.
fn end(server: &mut Child) {
    if let Some(pid) = rustix::process::Pid::from_raw(server.id().cast_signed()) {
        // It may have ended by itself, with the same Ctrl-C.
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
    }
    let _ = server.wait();
}

/// Hands the app over, and again whenever it changes, until the server ends.
async fn follow(
    folder: &Path,
    socket: &Path,
    server: &mut Child,
    seen: &mut State,
    app: &AppFolder,
) -> Result<(), Box<dyn Error>> {
    let begun = Instant::now();
    while !socket.exists() {
        if let Some(status) = server.try_wait()? {
            return Err(format!("the server did not start ({status})").into());
        }
        if begun.elapsed() > PATIENCE {
            return Err("the server does not listen".into());
        }
        sleep(Duration::from_millis(20)).await;
    }
    match hand_over(socket, &app.pack())? {
        Ok(address) => {
            println!("The app is at {address}. Change a file, and its pages load themselves anew. Ctrl-C ends it.")
        }
        Err(why) => println!("The server does not take it: {why}"),
    }
    loop {
        sleep(PACE).await;
        if server.try_wait()?.is_some() {
            return Ok(());
        }
        let now = state(folder)?;
        if now == *seen {
            continue;
        }
        *seen = now;
        match AppFolder::read(folder) {
            Ok(app) => {
                tell(&check(app.files()));
                match hand_over(socket, &app.pack())? {
                    Ok(_) => println!("Handed over."),
                    Err(why) => println!("The server does not take it: {why}"),
                }
            }
            Err(error) => println!("{}", chain(error)),
        }
    }
}

/// One request over a socket: small enough to be written by hand, and there is no other.
fn hand_over(socket: &Path, package: &[u8]) -> std::io::Result<Result<String, String>> {
    let mut stream = UnixStream::connect(socket)?;
    write!(
        stream,
        "POST /app HTTP/1.1\r\nhost: app\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
        package.len()
    )?;
    stream.write_all(package)?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let is_good = head.split(' ').nth(1) == Some("200");
    Ok(if is_good { Ok(body.to_owned()) } else { Err(body.to_owned()) })
}

/// What is known of files without reading them.
type State = BTreeMap<PathBuf, (SystemTime, u64)>;

fn state(folder: &Path) -> Result<State, Box<dyn Error>> {
    let mut all = State::new();
    let mut waiting = vec![folder.to_owned()];
    while let Some(folder) = waiting.pop() {
        for entry in std::fs::read_dir(&folder).map_err(|error| format!("{}: {error}", folder.display()))? {
            let path = entry?.path();
            if path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.')) {
                continue;
            }
            // An editor may have put a file in another's place this very moment.
            let Ok(about) = std::fs::metadata(&path) else { continue };
            match about.is_dir() {
                true => waiting.push(path),
                false => drop(all.insert(path, (about.modified()?, about.len()))),
            }
        }
    }
    Ok(all)
}

/// A folder that only we may write into.
fn tempdir() -> std::io::Result<PathBuf> {
    use std::os::unix::fs::DirBuilderExt as _;
    let path = std::env::temp_dir().join(format!("freehold-app-{}", uuid::Uuid::now_v7().simple()));
    std::fs::DirBuilder::new().mode(0o700).create(&path)?;
    Ok(path)
}
