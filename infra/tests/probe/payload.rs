//! The runtime: one line in, one answer out, for each connection.

use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use tenant_runtime::launch::{self, Launch};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinSet;

use crate::attempts;

pub(crate) fn run() {
    let inherited = attempts::open_descriptors();
    let text = std::env::var(launch::VARIABLE).expect("a launch");
    let launch: Launch = serde_json::from_str(&text).expect("a whole launch");
    eprintln!("INFO a probe of {} begins", launch.server);
    match launch.owner.display_name.as_str() {
        "crash" => std::process::exit(7),
        "deaf" => std::thread::sleep(Duration::from_secs(3600)),
        _ => {}
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.expect("a tokio runtime").block_on(serve(launch, inherited));
}

async fn serve(launch: Launch, inherited: Vec<i32>) {
    let mut stop = signal(SignalKind::terminate()).expect("a handler");
    let [public, admin, ready] = [3, 4, 5].map(attempts::own);
    let [public, admin] = [public, admin].map(listener);
    rustix::io::write(&ready, b"R").expect("someone waits for it");
    drop(ready);
    let mut open = JoinSet::new();
    let story = format!("{} {:?}", launch.server, inherited);
    loop {
        let stream = tokio::select! {
            _ = stop.recv() => break,
            taken = public.accept() => taken,
            taken = admin.accept() => taken,
        };
        if let Ok((stream, _)) = stream {
            open.spawn(answer(stream, story.clone()));
        }
        while open.try_join_next().is_some() {}
    }
    while open.join_next().await.is_some() {}
}

fn listener(fd: OwnedFd) -> tokio::net::UnixListener {
    let listener = UnixListener::from(fd);
    listener.set_nonblocking(true).expect("a listener");
    tokio::net::UnixListener::from_std(listener).expect("a listener")
}

async fn answer(stream: UnixStream, story: String) {
    let mut stream = BufReader::new(stream);
    let mut line = String::new();
    if stream.read_line(&mut line).await.is_err() {
        return;
    }
    let answer = tokio::task::spawn_blocking(move || obey(line.trim(), &story)).await;
    let _ = stream.get_mut().write_all(answer.unwrap_or_else(|e| e.to_string()).as_bytes()).await;
    let _ = stream.get_mut().shutdown().await;
}

fn obey(line: &str, story: &str) -> String {
    let mut words = line.split(' ');
    match (words.next().unwrap_or_default(), words.next().unwrap_or_default()) {
        ("hello", _) => format!("hello from {story}"),
        ("say", what) => {
            eprintln!("{what}");
            "said".to_owned()
        }
        ("die", status) => std::process::exit(status.parse().unwrap_or(1)),
        ("eat", mib) => eat(mib.parse().unwrap_or(1)),
        ("crowd", threads) => crowd(threads.parse().unwrap_or(1)),
        ("spin", ms) => {
            let until = std::time::Instant::now() + Duration::from_millis(ms.parse().unwrap_or(1));
            while std::time::Instant::now() < until {}
            "spun".to_owned()
        }
        ("toil", ms) => {
            let own = || Duration::try_from(clock_gettime(ClockId::ProcessCPUTime)).expect("time goes on");
            let until = own() + Duration::from_millis(ms.parse().unwrap_or(1));
            while own() < until {}
            "toiled".to_owned()
        }
        ("try", what) => match attempts::attempt(what, &words.collect::<Vec<_>>()) {
            Ok(seen) => format!("ok {seen}"),
            Err(e) => format!("refused {e}"),
        },
        _ => "what?".to_owned(),
    }
}

fn crowd(wanted: usize) -> String {
    let (keep, kept) = std::sync::mpsc::channel::<()>();
    let kept = std::sync::Arc::new(std::sync::Mutex::new(kept));
    let mut threads = Vec::new();
    for _ in 0..wanted {
        let kept = std::sync::Arc::clone(&kept);
        let builder = std::thread::Builder::new().stack_size(64 * 1024);
        match builder.spawn(move || drop(kept.lock().map(|kept| kept.recv()))) {
            Ok(thread) => threads.push(thread),
            Err(_) => break,
        }
    }
    let crowd = threads.len();
    drop(keep);
    threads.into_iter().for_each(|thread| drop(thread.join()));
    format!("a crowd of {crowd}")
}

fn eat(mib: usize) -> String {
    let mut eaten: Vec<Vec<u8>> = Vec::new();
    for _ in 0..mib {
        eaten.push(vec![1; 1 << 20]);
    }
    let sum: usize = eaten.iter().map(|piece| usize::from(piece[4096])).sum();
    format!("ate {sum}")
}
