//! What is planned on a server that sleeps: the provider wakes it in time, it does what is due, once, and sleeps again; also
//! where provider, launcher and server are killed around it.

use std::time::Duration;

use infra::agent::Event;
use jiff::{Timestamp, ToSpan as _};
use loadtest::person::OwnServer;
use loadtest::platform::{Platform, Wish};
use reqwest::Method;
use serde_json::{Value, json};

use crate::bounds::{bounded, until};
use crate::killed::{Process, Victim, opened, runtimes};
use crate::support::NOTES;

/// Plans a notice for in so many seconds.
async fn plan(server: &OwnServer, name: &str, seconds: i64) -> i64 {
    let at = Timestamp::now() + seconds.seconds();
    let wall = at.strftime("%Y-%m-%dT%H:%M:%S").to_string();
    let wish = json!({"title": name, "at": wall, "zone": "UTC", "notice": {"title": format!("It is time for {name}")}});
    let made = server.json("notes", Method::PUT, &format!("/feps/schedules/{name}"), Some(&wish)).await.unwrap();
    made["next"].as_i64().unwrap()
}

async fn log(server: &OwnServer) -> Vec<Value> {
    let log = server.json("notes", Method::GET, "/feps/happenings", None).await.unwrap();
    log.as_array().unwrap().clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sleeping_server_wakes_by_itself_does_what_is_due_and_sleeps_again() {
    let wish = Wish { idle_after: Duration::from_millis(300), ..Wish::default() };
    let platform = Platform::open(wish).await.unwrap();
    let server = platform.visitor().unwrap().sign_up("anna").await.unwrap();
    server.install(NOTES).await.unwrap();
    let mut events = platform.provider().agent().events();
    let due = plan(&server, "plants", 6).await;
    let mut next = async |wanted: fn(&Event) -> bool| {
        bounded("the server does so", async {
            while !wanted(&events.recv().await.unwrap().event) {}
            Timestamp::now().as_millisecond()
        })
        .await
    };
    let slept = next(|event| matches!(event, Event::Slept)).await;
    // From here on nobody asks it for anything.
    let woke = next(|event| matches!(event, Event::Woke { .. })).await;
    next(|event| matches!(event, Event::Slept)).await;
    assert!(slept < due, "it slept before its time");
    println!("woken {} ms before its time", due - woke);
    let log = log(&server).await;
    assert_eq!((log.len(), &log[0]["state"], &log[0]["due"]), (1, &json!("done"), &json!(due)), "{log:?}");
    println!("done {} ms after its time", log[0]["ended"].as_i64().unwrap() - due);
    platform.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_due_happens_once_though_everything_is_killed_around_it() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let (mut process, server) = opened(&data).await;
    let mut planned = Vec::new();
    let wish = json!({"title": "The door", "notice": {"title": "Somebody is at the door"}});
    let made = server.json("notes", Method::PUT, "/feps/webhooks/door", Some(&wish)).await.unwrap();
    let door = made["address"].as_str().unwrap().parse::<url::Url>().unwrap().path().to_owned();
    for (round, victim) in [Victim::Tree, Victim::Provider, Victim::Runtime].into_iter().enumerate() {
        let name = format!("round-{round}");
        planned.push(name.clone());
        server.json("notes", Method::POST, &door, Some(&json!({"round": round}))).await.unwrap();
        // Killed right after the acknowledgement, and with the time coming while nothing runs or just after that.
        plan(&server, &name, 2 + round as i64).await;
        let port = process.address.port();
        victim.strike(process, &data);
        process = Process::start(&data, port);
        // Nobody asks for the server: it is the provider that wakes it.
        until("a server that was woken", async || runtimes(&data).are_there()).await;
    }
    let done = async |kind: &str| {
        let log = log(&server).await;
        let done = log.iter().filter(|one| one["kind"] == kind && one["state"] == "done");
        done.map(|one| one["name"].as_str().unwrap().to_owned()).rev().collect::<Vec<_>>()
    };
    until("everything done", async || done("schedule").await.len() >= planned.len()).await;
    assert_eq!(done("schedule").await, planned, "each once");
    assert_eq!(done("webhook").await, ["door"; 3], "each that was told 202");
    process.kill(&data);
}
