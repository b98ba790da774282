//! The code of an app under a provider: in a sandbox of its own beside the server's, and gone with it.

use std::collections::BTreeSet;
use std::fs;
use std::time::Duration;

use infra::agent::State;
use loadtest::handlers::install;
use loadtest::person::OwnServer;
use loadtest::platform::{Platform, Wish};
use reqwest::Method;

use crate::bounds::until;
use crate::guests;

const ID: &str = "com.example.coded";

/// Processes that the launcher of this provider started beside its servers: their ids.
async fn app_hosts(platform: &Platform) -> BTreeSet<u32> {
    let seen = platform.provider().agent().seen().await;
    let runtimes: Vec<u32> = seen
        .iter()
        .filter_map(|server| match server.state {
            State::Awake { pid, .. } => Some(pid),
            _ => None,
        })
        .collect();
    let launchers: BTreeSet<u32> = runtimes.iter().filter_map(|pid| parent(*pid)).collect();
    let all = fs::read_dir("/proc").unwrap().filter_map(|entry| entry.unwrap().file_name().to_str()?.parse().ok());
    all.filter(|pid| parent(*pid).is_some_and(|of| launchers.contains(&of)) && !runtimes.contains(pid)).collect()
}

fn parent(pid: u32) -> Option<u32> {
    status(pid, "PPid").and_then(|text| text.parse().ok())
}

fn status(pid: u32, field: &str) -> Option<String> {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'))?;
    Some(line.trim().to_owned())
}

async fn ask(server: &OwnServer) -> (u16, String) {
    let response = server.call("coded", Method::GET, "/api/x").unwrap().send().await.unwrap();
    (response.status().as_u16(), response.text().await.unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn code_runs_beside_its_server_in_a_sandbox_that_sees_less_and_ends_with_it() {
    let platform = Platform::open(Wish::default()).await.unwrap();
    let server = platform.visitor().unwrap().sign_up("anna").await.unwrap();
    let says = guests::page("(call $said (i32.const 200) (local.get 2) (local.get 3))");
    install(&platform, &server, ID, &says).await.unwrap();
    assert_eq!(ask(&server).await, (200, "/api/x".to_owned()));
    let running = app_hosts(&platform).await;
    assert_eq!(running.len(), 1, "one for the server, and the compiler has ended: {running:?}");
    let host = *running.first().unwrap();
    assert_eq!(status(host, "Seccomp").unwrap(), "2");
    assert_eq!(status(host, "NoNewPrivs").unwrap(), "1");
    assert_eq!(status(host, "CapEff").unwrap(), "0000000000000000");
    for namespace in ["net", "pid", "mnt"] {
        let of = |pid: &str| fs::read_link(format!("/proc/{pid}/ns/{namespace}")).unwrap();
        assert_ne!(of(&host.to_string()), of("self"), "{namespace}");
    }
    for folder in ["home", "data", "tmp"] {
        let seen = fs::read_dir(format!("/proc/{host}/root/{folder}")).unwrap().count();
        assert_eq!(seen, 0, "the folder {folder} is empty there");
    }
    // It is killed, and with it nothing but itself.
    rustix::process::kill_process(
        rustix::process::Pid::from_raw(host.cast_signed()).unwrap(),
        rustix::process::Signal::KILL,
    )
    .unwrap();
    until("another app host", async || ask(&server).await.0 == 200).await;
    let anew = app_hosts(&platform).await;
    assert!(!anew.contains(&host) && anew.len() == 1, "{anew:?}");
    let seen = platform.provider().agent().seen().await;
    assert!(seen.iter().all(|server| matches!(server.state, State::Awake { .. })), "the server goes on");
    until("a server that sleeps", async || {
        platform.provider().plane().gates().sweep(Duration::ZERO).await;
        !platform.provider().agent().seen().await.iter().any(|server| matches!(server.state, State::Awake { .. }))
    })
    .await;
    let gone = || anew.iter().all(|pid| status(*pid, "PPid").is_none());
    until("its app host to end", async || gone()).await;
    assert_eq!(ask(&server).await.0, 200, "it wakes, and its code runs again from what was compiled");
    platform.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn code_that_loops_or_takes_all_memory_leaves_its_server_and_the_others_alone() {
    let platform = Platform::open(Wish::default()).await.unwrap();
    let server = platform.visitor().unwrap().sign_up("anna").await.unwrap();
    let bomb = guests::page("(loop $on (drop (memory.grow (i32.const 16))) (br $on)) unreachable");
    install(&platform, &server, ID, &bomb).await.unwrap();
    let several = futures::future::join_all((0..4).map(|_| ask(&server))).await;
    for (status, told) in several {
        assert!(status == 502 && told.contains("more than 64 MB of memory"), "{status} {told}");
    }
    let seen = platform.provider().agent().seen().await;
    assert!(seen.iter().all(|server| matches!(server.state, State::Awake { .. })), "the server goes on");
    platform.close().await.unwrap();
}
