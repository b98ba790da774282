//! What servers keep on the host's disk, and who loses it first.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use infra::agent::State;
use tenant_runtime::ids::ServerId;

use crate::house::{House, PATIENCE};

async fn until(what: &str, holds: impl AsyncFn() -> bool) {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while !holds().await {
        assert!(tokio::time::Instant::now() < deadline, "{what} never came true");
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
}

fn fill(cache: &Path) {
    std::fs::write(cache.join("copy"), vec![1; 200_000]).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_awake_server_keeps_its_cache_and_a_sleeping_one_wakes_without_it() {
    let house = House::open().await;
    let server = house.place("well").await;
    house.ask(server, "hello").await.unwrap();
    let (cache, pid) = (house.cache(server), house.pid(server).await);
    fill(&cache);
    let owner = cache.metadata().unwrap().uid();
    assert!(!house.agent.evict(server).await.unwrap());
    assert!(cache.join("copy").exists() && house.pid(server).await == pid);

    house.agent.sleep(server).await.unwrap();
    assert!(house.agent.evict(server).await.unwrap());
    assert_eq!(std::fs::read_dir(&cache).unwrap().count(), 0);
    assert_eq!((cache.metadata().unwrap().uid(), cache.metadata().unwrap().mode() & 0o777), (owner, 0o700));
    house.ask(server, "hello").await.expect("it wakes");
    assert_eq!(std::fs::read_dir(house.folder.path().join("cache")).unwrap().count(), 1, "nothing is left aside");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_coldest_goes_when_there_is_no_room_and_never_one_that_is_awake() {
    // Room for two of three.
    let house = House::with_cache(Some(500_000)).await;
    let [cold, warm, awake] = [1, 2, 3].map(ServerId::new);
    for server in [awake, cold, warm] {
        house.place_as(server, "well").await;
        house.ask(server, "hello").await.unwrap();
        fill(&house.cache(server));
    }
    let kept = |server| house.cache(server).join("copy").exists();
    house.agent.sleep(cold).await.unwrap();
    house.agent.sleep(warm).await.unwrap();
    until("the end of the coldest cache", async || !kept(cold)).await;
    assert!(kept(warm) && kept(awake));
    assert!(matches!(house.seen(awake).await, State::Awake { .. }));

    // The emptied one wakes, fills its cache and sleeps: now the other is the coldest.
    house.ask(cold, "hello").await.unwrap();
    fill(&house.cache(cold));
    house.agent.sleep(cold).await.unwrap();
    until("the end of the next cache", async || !kept(warm)).await;
    assert!(kept(cold) && kept(awake));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_whose_cache_outgrows_its_plan_is_put_to_sleep_and_begins_anew() {
    let house = House::open().await;
    let (greedy, modest) = (ServerId::new(1), ServerId::new(2));
    for server in [greedy, modest] {
        house.place_as(server, "well").await;
        house.ask(server, "hello").await.unwrap();
        fill(&house.cache(server));
    }
    let pid = house.pid(modest).await;
    let large = std::fs::File::create(house.cache(greedy).join("large")).unwrap();
    // More than twice the plan's 64 MiB and what an archive may add.
    let taken = rustix::fs::fallocate(&large, rustix::fs::FallocateFlags::empty(), 0, 2300 << 20);
    if taken.is_err() {
        // No room for so much on this disk.
        return;
    }
    until("the end of what is too much", async || !house.cache(greedy).join("large").exists()).await;
    house.ask(greedy, "hello").await.expect("it wakes again");
    assert!(house.cache(modest).join("copy").exists());
    assert_eq!(house.pid(modest).await, pid);
}
