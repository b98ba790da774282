//! Sleeping and waking, and nobody's request lost in between.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use infra::agent::{Error, Event, State};
use tenant_runtime::ids::{Generation, ServerId};

use crate::house::{House, LIMITS, PATIENCE, agent_in, ask};
use crate::probe::launch;

#[tokio::test(flavor = "multi_thread")]
async fn the_first_connection_wakes_a_server_and_sleep_ends_its_process() {
    let house = House::open().await;
    let mut events = house.agent.events();
    let server = house.place("well").await;
    assert_eq!(house.seen(server).await, State::Asleep);

    let answer = house.ask(server, "hello").await.unwrap();
    assert!(answer.starts_with(&format!("hello from {server}")), "{answer}");
    let woke = events.recv().await.unwrap();
    assert!(woke.server == server && matches!(woke.event, Event::Woke { .. }), "{woke:?}");
    let State::Awake { usage, .. } = house.seen(server).await else { panic!("not awake") };
    assert!(usage.pss_bytes.is_some_and(|bytes| bytes > 100_000) && usage.cpu_ms.is_some(), "{usage:?}");

    let pid = house.pid(server).await;
    house.agent.sleep(server).await.unwrap();
    assert_eq!(house.seen(server).await, State::Asleep);
    assert!(!crate::house::lives(pid.cast_signed()));
    assert_eq!(events.recv().await.unwrap().event, Event::Slept);
    house.agent.sleep(server).await.expect("sleeping twice is no error");
}

/// What of the program a process has for itself, in KiB, and where the program begins.
#[cfg(target_arch = "x86_64")]
fn own_part_of_the_program(pid: u32) -> (u64, String) {
    let maps = std::fs::read_to_string(format!("/proc/{pid}/smaps")).unwrap();
    let (mut own, mut place, mut is_program) = (0, None, false);
    for line in maps.lines() {
        match line.split_once(": ") {
            Some(("Anonymous", size)) if is_program => {
                own += size.trim().trim_end_matches(" kB").parse::<u64>().unwrap();
            }
            None if line.contains('-') => {
                is_program = line.contains("/bin/freehold-runtime");
                if is_program {
                    place.get_or_insert(line.split('-').next().unwrap_or_default().to_owned());
                }
            }
            _ => {}
        }
    }
    (own, place.expect("a program"))
}

#[cfg(target_arch = "x86_64")]
#[tokio::test(flavor = "multi_thread")]
async fn the_program_is_relocated_once_for_all_runtimes_and_elsewhere_by_each_launcher() {
    let (house, other) = (House::open().await, House::open().await);
    if !house.agent.isolation().is_sufficient() {
        eprintln!("skipped: runtimes have no files of their own here");
        return;
    }
    let mut places = Vec::new();
    for house in [&house, &house, &other] {
        let server = house.place("well").await;
        house.ask(server, "hello").await.unwrap();
        let (own, place) = own_part_of_the_program(house.pid(server).await);
        // Its variables, and no tables of addresses.
        assert!(own <= 96, "{own} KiB");
        places.push(place);
    }
    assert_eq!(places[0], places[1]);
    assert_ne!(places[0], places[2]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_admin_socket_wakes_a_server_as_well() {
    let house = House::open().await;
    let server = house.place("well").await;
    let socket = house.agent.admin_socket(server);
    let answer = tokio::task::spawn_blocking(move || ask(&socket, "hello")).await.unwrap().unwrap();
    assert!(answer.contains(&server.to_string()));
}

#[tokio::test(flavor = "multi_thread")]
async fn no_request_is_lost_while_a_server_goes_to_sleep_two_hundred_times() {
    let house = House::open().await;
    let server = house.place("well").await;
    let (done, answered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let clients: Vec<_> = (0..4)
        .map(|_| {
            let (done, answered) = (Arc::clone(&done), Arc::clone(&answered));
            let socket = house.agent.public_socket(server);
            std::thread::spawn(move || {
                while !done.load(Ordering::Relaxed) {
                    let answer = ask(&socket, "hello");
                    assert!(answer.as_ref().is_ok_and(|text| text.starts_with("hello")), "{answer:?}");
                    answered.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    for _ in 0..200 {
        let before = answered.load(Ordering::Relaxed);
        house.agent.sleep(server).await.unwrap();
        while answered.load(Ordering::Relaxed) == before && !clients.iter().any(|c| c.is_finished()) {
            tokio::time::sleep(std::time::Duration::from_micros(200)).await;
        }
    }
    done.store(true, Ordering::Relaxed);
    for client in clients {
        client.join().expect("every request was answered");
    }
    assert!(answered.load(Ordering::Relaxed) >= 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn placing_again_changes_nothing_and_a_changed_launch_holds_from_the_next_wake() {
    let house = House::open().await;
    let server = house.place("well").await;
    house.ask(server, "hello").await.unwrap();
    let pid = house.pid(server).await;
    house.place_as(server, "well").await;
    assert_eq!(house.pid(server).await, pid);

    let mut changed = launch(server, "well");
    changed.generation = Generation(2);
    house.agent.place(changed, LIMITS).await.unwrap();
    let seen = house.agent.seen().await;
    assert_eq!((seen[0].generation, &seen[0].state), (Generation(2), &State::Asleep));
    house.ask(server, "hello").await.unwrap();
    assert_ne!(house.pid(server).await, pid);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_does_not_listen_to_the_request_to_end_is_ended() {
    let house = House::open().await;
    let server = house.place("deaf").await;
    let socket = house.agent.public_socket(server);
    // Its connection waits in the queue; the probe never takes it.
    let waiting = std::os::unix::net::UnixStream::connect(&socket).unwrap();
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while !matches!(house.seen(server).await, State::Awake { .. }) {
        assert!(tokio::time::Instant::now() < deadline);
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    let pid = house.pid(server).await;
    house.agent.sleep(server).await.unwrap();
    assert!(!crate::house::lives(pid.cast_signed()));
    drop(waiting);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_displaced_server_leaves_its_home_and_an_erased_one_nothing() {
    let house = House::open().await;
    let server = house.place("well").await;
    let own_files = house.agent.isolation().is_sufficient();
    if own_files {
        assert_eq!(house.ask(server, "try write /home/kept").await.unwrap(), "ok written");
        assert_eq!(house.ask(server, "try write /data/lost").await.unwrap(), "ok written");
        assert!(house.agent.home_bytes(server).await.unwrap() > 0);
    }
    let home = house.folder.path().join("objects/t").join(server.to_string());
    let cache = house.folder.path().join("cache").join(server.to_string());
    assert!(cache.is_dir());
    house.agent.displace(server).await.unwrap();
    assert!(!house.agent.public_socket(server).exists() && !cache.exists());
    assert_eq!(home.join("kept").exists(), own_files);
    assert!(matches!(house.agent.sleep(server).await, Err(Error::NotPlaced(_))));
    assert!(house.agent.seen().await.is_empty());

    house.place_as(server, "well").await;
    house.ask(server, "hello").await.unwrap();
    house.agent.erase(server).await.unwrap();
    assert!(!home.exists() && !cache.exists());
    house.agent.erase(server).await.expect("erasing twice is no error");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_agents_never_share_a_folder() {
    let house = House::open().await;
    assert!(matches!(agent_in(house.folder.path()).await, Err(Error::Occupied(_))));
    let long = house.folder.path().join("x".repeat(80));
    let refused = agent_in(&long).await.unwrap_err();
    assert!(refused.to_string().contains("choose a shorter run_dir"), "{refused}");
    house.agent.drain().await.unwrap();
    let folder = house.folder.path().to_path_buf();
    drop(house.agent);
    agent_in(&folder).await.expect("the first is gone");
}

#[tokio::test(flavor = "multi_thread")]
async fn many_servers_wake_at_once() {
    let house = House::open().await;
    let servers: Vec<_> = (0..40).map(|n| ServerId::new(n + 1)).collect();
    for server in &servers {
        house.place_as(*server, "well").await;
    }
    let asked = servers.iter().map(|server| house.ask(*server, "hello"));
    for (answer, server) in futures::future::join_all(asked).await.into_iter().zip(&servers) {
        assert!(answer.unwrap().contains(&server.to_string()));
    }
    house.agent.drain().await.unwrap();
    assert!(!house.agent.public_socket(servers[0]).exists());
}
