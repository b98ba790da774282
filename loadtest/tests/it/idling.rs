//! An awake server that nobody asks anything costs next to nothing, inside its sandbox as well.

use std::time::Duration;

use infra::agent::State;
use loadtest::platform::{Platform, Wish};
use loadtest::pressure::{Ask, Target, press};

/// The pages of files that a process has mapped in, in KiB: mostly its own program.
fn file_pages(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("RssFile:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_server_gives_its_pages_back_without_ending_and_answers_again() {
    let platform = Platform::open(Wish::default()).await.unwrap();
    let server = platform.visitor().unwrap().sign_up("anna").await.unwrap();
    let (target, ask) = (Target::Port(platform.address()), Ask::openly(&server.host(None).unwrap(), "/"));
    press(&target, &ask, 1, 1).await.unwrap();
    let awake = async || {
        let seen = platform.provider().agent().seen().await;
        seen.iter().find_map(|server| match server.state {
            State::Awake { pid, .. } => Some(pid),
            _ => None,
        })
    };
    let pid = awake().await.expect("it just answered");
    let busy = file_pages(pid);
    let deadline = tokio::time::Instant::now() + Duration::from_secs(60);
    while file_pages(pid) > busy / 2 {
        assert!(tokio::time::Instant::now() < deadline, "it keeps {} of {busy} KiB", file_pages(pid));
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    press(&target, &ask, 1, 1).await.unwrap();
    assert_eq!(awake().await, Some(pid), "it never slept");
    platform.close().await.unwrap();
}
