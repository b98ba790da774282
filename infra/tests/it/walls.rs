//! What a runtime that was taken over can reach: nothing but its own.

use std::io::Write;
use std::net::TcpListener;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use crate::house::{Provider, Started, ask, programs};

/// Nobody's user id, for what is done without privileges.
const NOBODY: u32 = 65534;

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

struct Neighbours {
    tcp: TcpListener,
    _abstract: UnixListener,
    name: String,
}

/// Things of the host that a runtime must not reach.
fn neighbours() -> Neighbours {
    let name = format!("freehold-test-{}", std::process::id());
    let address = SocketAddr::from_abstract_name(&name).unwrap();
    Neighbours {
        tcp: TcpListener::bind("127.0.0.1:0").unwrap(),
        _abstract: UnixListener::bind_addr(&address).unwrap(),
        name,
    }
}

fn refused(socket: &Path, attempt: &str) {
    let answer = ask(socket, &format!("try {attempt}")).unwrap();
    assert!(answer.starts_with("refused"), "{attempt}: {answer}");
}

fn allowed(socket: &Path, attempt: &str) -> String {
    let answer = ask(socket, &format!("try {attempt}")).unwrap();
    answer.strip_prefix("ok ").unwrap_or_else(|| panic!("{attempt}: {answer}")).to_owned()
}

/// Looks around in one of two servers' sandboxes.
fn look_around(folder: &Path, provider: &Provider) {
    let [mine, other] = [&provider.sockets[0], &provider.sockets[1]];
    ask(other, "try write /home/secret").unwrap();
    let host = neighbours();
    let other_id = other.parent().unwrap().file_name().unwrap().to_string_lossy().into_owned();
    let other_home = folder.join("objects/t").join(&other_id);
    assert!(other_home.join("secret").exists(), "the other server's secret is on the host");
    ask(other, "try write /data/secret").unwrap();
    let other_cache = folder.join("cache").join(&other_id);
    assert!(other_cache.join("secret").exists(), "and another in its cache");

    // Its own is there, and can be used.
    assert_eq!(allowed(mine, "list /home"), "");
    assert_eq!(allowed(mine, "write /home/own"), "written");
    assert_eq!(allowed(mine, "write /data/own"), "written");
    assert_eq!(allowed(mine, "write /tmp/own"), "written");
    assert_eq!(allowed(mine, "chance").len(), 16);
    assert_eq!(allowed(mine, "machine"), "freehold");
    assert_eq!(allowed(mine, "variables"), "FREEHOLD_LAUNCH");
    assert_ne!(allowed(mine, "user"), "0");
    assert!(ask(mine, "hello").unwrap().ends_with("[0, 1, 2, 3, 4, 5]"), "no other descriptor was inherited");
    // Landlock does not even let it look; without landlock there is nothing to see.
    let skeleton = ["bin", "data", "dev", "home", "lib", "lib64", "null", "tmp", "urandom", "usr"];
    for folder in ["/", "/dev"] {
        let answer = ask(mine, &format!("try list {folder}")).unwrap();
        let seen = answer.strip_prefix("ok ").unwrap_or_default();
        assert!(seen.split_whitespace().all(|name| skeleton.contains(&name)), "{folder}: {answer}");
    }

    // Others' files, and the host's.
    refused(mine, &format!("read {}", other_home.join("secret").display()));
    refused(mine, &format!("read {}", other_cache.join("secret").display()));
    for place in ["", "run", "cache", "objects", "objects/t", "host"] {
        refused(mine, &format!("list {}", folder.join(place).display()));
    }
    for way in ["/home/..", "/data/..", "/tmp/.."] {
        refused(mine, &format!("list {way}/{}", folder.strip_prefix("/").unwrap().display()));
    }
    for path in ["/etc/passwd", "/proc/1/environ", "/proc/self/maps", "/home/../etc/passwd", "/sys/kernel/version"] {
        refused(mine, &format!("read {path}"));
    }
    let link = "/home/link";
    allowed(mine, &format!("link {link} {}", other_home.join("secret").display()));
    refused(mine, &format!("read {link}"));
    for path in ["/new", "/bin/new", "/bin/freehold-runtime", "/dev/new", "/home/../new"] {
        refused(mine, &format!("write {path}"));
    }
    refused(mine, "large /home/large");
    for path in ["/home/program", "/data/program", "/tmp/program"] {
        refused(mine, &format!("run {path}"));
    }
    refused(mine, "device /home/disk");

    // Other processes, the network, and ways out.
    let neighbour = provider.processes()[2];
    for pid in [1, neighbour, provider.launcher] {
        refused(mine, &format!("kill {pid}"));
        refused(mine, &format!("peek {pid}"));
    }
    refused(mine, "kill-all");
    refused(mine, &format!("tcp {}", host.tcp.local_addr().unwrap()));
    refused(mine, &format!("abstract {}", host.name));
    refused(mine, &format!("socket {}", other.display()));
    refused(mine, &format!("socket {}", other.with_file_name("admin").display()));
    for attempt in [
        "fork",
        "vfork",
        "shared-memory",
        "memory-file",
        "segment",
        "more-memory",
        "more-threads",
        "larger-files",
        "trace",
        "mount",
        "unmount",
        "unshare",
        "namespace",
        "root",
        "chroot /tmp",
        "keys",
        "bpf",
        "ring",
        "vsock",
        "netlink",
    ] {
        refused(mine, attempt);
    }

    let open: usize = allowed(mine, "descriptors-until-refused").parse().unwrap();
    assert!((900..1024).contains(&open), "{open} more descriptors");

    // What the kernel says about it from outside.
    let pid = provider.processes()[1];
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.trim_start_matches(':').split_whitespace().map(str::to_owned).collect::<Vec<_>>()
    };
    for powers in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
        assert_eq!(u64::from_str_radix(&field(powers)[0], 16), Ok(0), "{powers}");
    }
    assert_eq!([field("NoNewPrivs"), field("Seccomp")], [["1"], ["2"]]);
    assert_eq!(field("NSpid").last().unwrap(), "1");
    for kind in ["mnt", "pid", "net", "ipc", "uts"] {
        let of = |pid: &str| std::fs::read_link(format!("/proc/{pid}/ns/{kind}")).unwrap();
        assert_ne!(of(&pid.to_string()), of("self"), "{kind}");
    }
    drop(host);
}

#[test]
fn a_runtime_that_was_taken_over_reaches_nothing_but_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let bin = tempfile::tempdir().unwrap();
    programs(bin.path());
    let command = Command::new(bin.path().join("sandbox-probe"));
    let provider = Provider::start(command, folder.path(), bin.path(), &["2"]).running();
    for socket in &provider.sockets {
        ask(socket, "hello").unwrap();
    }
    look_around(folder.path(), &provider);
    if is_root() {
        let users = provider.sockets.iter().map(|socket| allowed(socket, "user")).collect::<Vec<_>>();
        assert!(users[0] != users[1] && users.iter().all(|user| user.starts_with("2000")), "{users:?}");
    }
    provider.end();
}

/// A folder that another user can work in, and the programs in one that it can read.
fn for_nobody() -> (tempfile::TempDir, tempfile::TempDir) {
    use std::os::unix::fs::{PermissionsExt, chown};
    let (folder, bin) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    programs(bin.path());
    std::fs::set_permissions(bin.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    chown(folder.path(), Some(NOBODY), Some(NOBODY)).unwrap();
    (folder, bin)
}

#[test]
fn without_privileges_the_walls_are_the_same() {
    if !is_root() {
        // The test above has shown it.
        return;
    }
    let (folder, bin) = for_nobody();
    let mut command = Command::new(bin.path().join("sandbox-probe"));
    command.uid(NOBODY).gid(NOBODY);
    let provider = match Provider::start(command, folder.path(), bin.path(), &["2"]) {
        Started::Running(provider) => provider,
        Started::Refused(why) => {
            // A kernel that gives no user namespaces to others than root: then it must say so.
            assert!(why.contains("user namespace"), "{why}");
            return;
        }
    };
    for socket in &provider.sockets {
        ask(socket, "hello").unwrap();
    }
    assert!(provider.report.contains("a user namespace for each runtime"), "{}", provider.report);
    for limit in ["memory limit: an address space", "process limit: a count", "descriptor limit: 1024", "disk limit:"] {
        assert!(provider.report.contains(&format!("on       {limit}")), "{limit}: {}", provider.report);
    }
    assert!(provider.report.contains("missing  processor share (cgroup)"), "{}", provider.report);
    look_around(folder.path(), &provider);
    // Without a control group the limits of the process hold.
    let crowd = ask(&provider.sockets[0], "crowd 200").unwrap();
    let crowd: u32 = crowd.strip_prefix("a crowd of ").unwrap().parse().unwrap();
    assert!(crowd > 10 && crowd < 64, "{crowd}");
    assert_eq!(ask(&provider.sockets[0], "eat 64").unwrap(), "ate 64");
    ask(&provider.sockets[0], "eat 600").expect_err("it has 128 MiB and what its program needs");
    assert!(ask(&provider.sockets[1], "hello").unwrap().starts_with("hello"), "the other one lives on");
    provider.end();
}

/// A user without any power in a user namespace where no further one can be made.
fn powerless(programs: &Path) -> Command {
    let mut command = Command::new("unshare");
    let script = "echo 0 > /proc/sys/user/max_user_namespaces && exec setpriv --inh-caps=-all --bounding-set=-all \
                  --no-new-privs \"$@\"";
    command.args(["--user", "--map-root-user", "sh", "-c", script, "sh"]);
    command.arg(programs.join("sandbox-probe"));
    command
}

#[test]
fn where_servers_cannot_be_kept_apart_a_provider_refuses_to_start_and_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let bin = tempfile::tempdir().unwrap();
    programs(bin.path());
    let Started::Refused(why) = Provider::start(powerless(bin.path()), folder.path(), bin.path(), &["1"]) else {
        panic!("it started without walls");
    };
    for wall in ["own file tree", "own processes", "own user", "no network"] {
        assert!(why.contains(&format!("missing  {wall}")), "{wall}: {why}");
    }
    assert!(why.contains("start the provider as root"), "{why}");

    // A developer may insist; the server then runs with what there is.
    let started = Provider::start(powerless(bin.path()), folder.path(), bin.path(), &["1", "anyhow"]);
    let provider = started.running();
    assert!(ask(&provider.sockets[0], "hello").unwrap().starts_with("hello"));
    refused(&provider.sockets[0], "mount");
    std::io::stderr().flush().unwrap();
    provider.end();
}
