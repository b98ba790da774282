//! Providers that end, in good order or not, and what they leave: nothing.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::house::{Provider, agent_in, ask, lives, programs, until};

fn mentions(path: &str, what: &str) -> bool {
    std::fs::read_to_string(path).unwrap().contains(what)
}

/// The provider's control groups, which its launcher has written down. Each runtime is in one of its own.
fn groups(folder: &Path, runtimes: usize) -> Vec<PathBuf> {
    let noted = std::fs::read_to_string(folder.join("run/groups")).unwrap();
    let groups: Vec<_> = noted.lines().map(PathBuf::from).collect();
    for group in &groups {
        let children = std::fs::read_dir(group).unwrap().flatten().map(|entry| entry.path().join("cgroup.procs"));
        let inside = children.filter_map(|procs| std::fs::read_to_string(procs).ok());
        assert_eq!(inside.filter(|pids| !pids.trim().is_empty()).count(), runtimes, "{}", group.display());
    }
    groups
}

#[test]
fn a_killed_provider_leaves_no_process_mount_or_group_and_the_next_one_starts_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let bin = tempfile::tempdir().unwrap();
    programs(bin.path());
    let start = || Provider::start(Command::new(bin.path().join("sandbox-probe")), folder.path(), bin.path(), &["3"]);
    let mut provider = start().running();
    let sockets = provider.sockets.clone();
    for socket in &sockets {
        ask(socket, "hello").unwrap();
    }
    let processes = provider.processes();
    assert_eq!(processes.len(), 4, "a launcher and three runtimes");
    let groups = groups(folder.path(), 3);

    provider.child.kill().unwrap();
    provider.child.wait().unwrap();
    until("the end of every process", || !processes.iter().any(|pid| lives(*pid)));
    until("the end of every group", || !groups.iter().any(|group| group.exists()));
    assert!(!mentions("/proc/self/mounts", &folder.path().to_string_lossy()));

    let provider = start().running();
    let again = provider.sockets.clone();
    for socket in &again {
        ask(socket, "hello").unwrap();
    }
    let processes = provider.processes();
    provider.end();
    assert!(!processes.iter().any(|pid| lives(*pid)));
    assert!(!again.iter().any(|socket| socket.exists()));
}

#[test]
fn a_provider_killed_together_with_its_launcher_is_swept_by_the_next() {
    let folder = tempfile::tempdir().unwrap();
    let bin = tempfile::tempdir().unwrap();
    programs(bin.path());
    let command = Command::new(bin.path().join("sandbox-probe"));
    let mut provider = Provider::start(command, folder.path(), bin.path(), &["2"]).running();
    for socket in &provider.sockets {
        ask(socket, "hello").unwrap();
    }
    let processes = provider.processes();
    let groups = groups(folder.path(), 2);
    let launcher = rustix::process::Pid::from_raw(provider.launcher).unwrap();
    rustix::process::kill_process(launcher, rustix::process::Signal::STOP).unwrap();
    provider.child.kill().unwrap();
    provider.child.wait().unwrap();
    assert!(lives(provider.launcher), "a stopped launcher cannot follow its provider");

    let runtime = tokio::runtime::Runtime::new().unwrap();
    let agent = runtime.block_on(agent_in(folder.path())).unwrap();
    assert!(!processes.iter().any(|pid| lives(*pid)));
    assert!(provider.sockets.iter().all(|socket| !socket.exists()));
    runtime.block_on(agent.drain()).unwrap();
    assert!(!groups.iter().any(|group| group.exists()));
}
