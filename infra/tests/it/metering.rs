//! What servers took is told, until it is acknowledged, however they and their provider end.

use std::collections::BTreeSet;
use std::process::Command;

use infra::agent::{Agent, RunReading};

use crate::house::{House, Provider, agent_in, ask, lives, programs, until};

/// What a probe is asked to spend of the processor's time, in milliseconds.
const TOIL_MS: u64 = 300;

async fn only(agent: &Agent) -> RunReading {
    let mut all = agent.readings().await;
    assert_eq!(all.len(), 1, "{all:?}");
    all.remove(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_is_told_of_while_it_lasts_and_once_more_after_its_end() {
    let house = House::open().await;
    let server = house.place("well").await;
    assert_eq!(house.agent.readings().await, []);
    house.ask(server, &format!("toil {TOIL_MS}")).await.unwrap();

    let lasting = only(&house.agent).await;
    assert!(!lasting.ended && lasting.server == server);
    assert!(lasting.cpu_us.unwrap() >= TOIL_MS * 1000 - 20_000, "{lasting:?}");
    assert!(lasting.awake_ms >= TOIL_MS, "{lasting:?}");
    house.agent.acknowledge(vec![lasting.run.clone()]).await.unwrap();
    house.ask(server, &format!("toil {TOIL_MS}")).await.unwrap();
    house.agent.sleep(server).await.unwrap();

    let ended = only(&house.agent).await;
    assert!(ended.ended && ended.run == lasting.run, "one that lasts cannot be acknowledged away");
    assert!(ended.cpu_us.unwrap() >= 2 * TOIL_MS * 1000, "all of it, to the microsecond: {ended:?}");
    assert!(ended.cpu_us >= lasting.cpu_us && ended.awake_ms >= lasting.awake_ms);
    assert_eq!(only(&house.agent).await, ended, "it is told again");

    house.ask(server, "die 3").await.unwrap_err();
    until("the second run's end", || {
        let both = readings(&house);
        both.len() == 2 && both.iter().all(|run| run.ended)
    });
    house.agent.acknowledge(vec![ended.run.clone()]).await.unwrap();
    let crashed = only(&house.agent).await;
    assert!(crashed.run != ended.run && crashed.ended);
    house.agent.acknowledge(vec![crashed.run]).await.unwrap();
    assert_eq!(house.agent.readings().await, []);
}

fn readings(house: &House) -> Vec<RunReading> {
    tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(house.agent.readings()))
}

#[test]
fn what_a_killed_provider_owes_is_found_by_the_next_one_and_survives_that_one_too() {
    let folder = tempfile::tempdir().unwrap();
    let bin = tempfile::tempdir().unwrap();
    programs(bin.path());
    let command = Command::new(bin.path().join("sandbox-probe"));
    let mut provider = Provider::start(command, folder.path(), bin.path(), &["2"]).running();
    for socket in &provider.sockets {
        ask(socket, &format!("toil {TOIL_MS}")).unwrap();
    }
    let processes = provider.processes();
    provider.child.kill().unwrap();
    provider.child.wait().unwrap();
    until("the end of every process", || !processes.iter().any(|pid| lives(*pid)));

    let runtime = tokio::runtime::Runtime::new().unwrap();
    for _ in 0..2 {
        let agent = runtime.block_on(agent_in(folder.path())).unwrap();
        let told = runtime.block_on(agent.readings());
        let servers: BTreeSet<_> = told.iter().map(|run| run.server).collect();
        assert_eq!((told.len(), servers.len()), (2, 2), "{told:?}");
        assert!(told.iter().all(|run| run.ended && run.cpu_us.unwrap() >= TOIL_MS * 1000), "{told:?}");
        runtime.block_on(agent.drain()).unwrap();
    }
}
