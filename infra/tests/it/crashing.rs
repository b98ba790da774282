//! Servers that end unasked.

use infra::agent::{Ended, Event, SandboxLimits, State};
use infra::isolation::{Holds, Mechanism};
use tenant_runtime::ids::ServerId;
use tokio::sync::broadcast::Receiver;

use crate::house::{House, LIMITS, PATIENCE, ask};
use crate::probe::launch;

async fn crash(events: &mut Receiver<infra::agent::HostEvent>) -> Ended {
    let next = async {
        loop {
            if let Event::Crashed { status } = events.recv().await.unwrap().event {
                return status;
            }
        }
    };
    tokio::time::timeout(PATIENCE, next).await.expect("a crash")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_crashes_at_its_start_is_tried_ever_more_rarely_and_its_caller_waits() {
    let house = House::open().await;
    let mut events = house.agent.events();
    let server = house.place("crash").await;
    let socket = house.agent.public_socket(server);
    let caller = tokio::task::spawn_blocking(move || ask(&socket, "hello"));
    for _ in 0..3 {
        assert_eq!(crash(&mut events).await, Ended::Exited(7));
    }
    let State::Crashing { status, times, .. } = house.seen(server).await else { panic!("it is not seen crashing") };
    assert!(status == Ended::Exited(7) && times >= 3, "{times}");
    assert!(!caller.is_finished());

    // A launch that mends it is tried at once, and the caller is answered after all.
    house.place_as(server, "well").await;
    let answer = tokio::time::timeout(PATIENCE, caller).await.expect("an answer").unwrap().unwrap();
    assert!(answer.starts_with("hello"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_ends_on_its_own_in_good_order_only_sleeps() {
    let house = House::open().await;
    let mut events = house.agent.events();
    let server = house.place("well").await;
    house.ask(server, "die 0").await.unwrap_err();
    assert!(matches!(events.recv().await.unwrap().event, Event::Woke { .. }));
    assert_eq!(events.recv().await.unwrap().event, Event::Slept);
    house.ask(server, "hello").await.unwrap();
    house.ask(server, "die 9").await.unwrap_err();
    assert_eq!(crash(&mut events).await, Ended::Exited(9));
    house.ask(server, "hello").await.expect("one crash only takes a moment");
}

#[tokio::test(flavor = "multi_thread")]
async fn too_much_memory_ends_that_server_alone() {
    let house = House::open().await;
    let lines = house.agent.isolation().lines();
    let memory = &lines.iter().find(|(mechanism, _)| *mechanism == Mechanism::MemoryLimit).unwrap().1;
    let Holds::On { .. } = memory else {
        let Holds::Missing { why, mend } = memory else { unreachable!() };
        assert!(!why.is_empty() && !mend.is_empty());
        return;
    };
    let mut events = house.agent.events();
    let (greedy, modest) = (ServerId::new(1), ServerId::new(2));
    house.place_as(greedy, "well").await;
    house.place_as(modest, "well").await;
    house.ask(modest, "hello").await.unwrap();
    let pid = house.pid(modest).await;
    assert_eq!(house.ask(greedy, "eat 16").await.unwrap(), "ate 16");
    house.ask(greedy, "eat 200").await.expect_err("it has 64 MiB");
    assert_eq!(crash(&mut events).await, Ended::OutOfMemory);
    house.ask(modest, "hello").await.unwrap();
    assert_eq!(house.pid(modest).await, pid);
    house.ask(greedy, "hello").await.expect("it comes back");
    let State::Awake { usage, .. } = house.seen(greedy).await else { panic!("not awake") };
    assert!(usage.charged_bytes.is_some_and(|bytes| bytes <= 64 << 20), "{usage:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn too_many_threads_are_refused_and_the_server_lives() {
    let house = House::open().await;
    if !house.agent.isolation().holds(Mechanism::ProcessLimit) {
        return;
    }
    let server = house.place("well").await;
    let answer = house.ask(server, "crowd 200").await.unwrap();
    let crowd: u32 = answer.strip_prefix("a crowd of ").unwrap().parse().unwrap();
    assert!(crowd > 10 && crowd < LIMITS.pids, "{crowd}");
    let pid = house.pid(server).await;
    house.ask(server, "hello").await.unwrap();
    assert_eq!(house.pid(server).await, pid);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_never_pauses_gets_its_share_of_the_processors_and_no_more() {
    let house = House::open().await;
    if !house.agent.isolation().holds(Mechanism::CpuLimit) {
        return;
    }
    let server = ServerId::new(1);
    let limits = SandboxLimits { cpu_percent: 20, ..LIMITS };
    house.agent.place(launch(server, "well"), limits).await.unwrap();
    house.ask(server, "hello").await.unwrap();
    let noted = std::fs::read_to_string(house.folder.path().join("run/groups")).unwrap();
    let stat = noted.lines().map(|group| std::path::Path::new(group).join(server.to_string()).join("cpu.stat"));
    let stat = stat.into_iter().find(|file| file.exists()).expect("a group with a share of the processors");
    let throttled = || {
        let text = std::fs::read_to_string(&stat).unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix("nr_throttled ")).unwrap();
        line.trim().parse::<u64>().unwrap()
    };
    // 20 of every 100 ms are over long before the spinning is, unless the machine is busy with others.
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while throttled() < 2 {
        assert!(tokio::time::Instant::now() < deadline, "it was never held back");
        assert_eq!(house.ask(server, "spin 500").await.unwrap(), "spun");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_runtime_that_cannot_be_started_says_which_step_failed() {
    let house = House::open().await;
    if !house.agent.isolation().is_sufficient() {
        return;
    }
    let mut events = house.agent.events();
    let server = house.place("well").await;
    let home = house.folder.path().join("objects/t").join(server.to_string());
    std::fs::rename(&home, home.with_extension("away")).unwrap();
    let socket = house.agent.public_socket(server);
    let caller = tokio::task::spawn_blocking(move || ask(&socket, "hello"));
    let Ended::NotStarted(why) = crash(&mut events).await else { panic!("it started") };
    assert!(why.contains("its home") && why.contains("No such file"), "{why}");
    std::fs::rename(home.with_extension("away"), &home).unwrap();
    caller.await.unwrap().expect("it is tried again");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_launcher_that_was_killed_is_replaced_and_its_servers_with_it() {
    let house = House::open().await;
    let server = house.place("well").await;
    house.ask(server, "hello").await.unwrap();
    let runtime = house.pid(server).await;
    let stat = std::fs::read_to_string(format!("/proc/{runtime}/stat")).unwrap();
    let launcher: i32 = stat.rsplit_once(") ").unwrap().1.split(' ').nth(1).unwrap().parse().unwrap();
    let pid = rustix::process::Pid::from_raw(launcher).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while crate::house::lives(runtime.cast_signed()) || house.ask(server, "hello").await.is_err() {
        assert!(tokio::time::Instant::now() < deadline, "it never came back");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    assert_ne!(house.pid(server).await, runtime);
}
