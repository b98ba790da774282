//! What a plan says may be lost is what a killed machine loses at most, and a plan that is made safer is so at once.
//!
//! `FREEHOLD_KILL_ROUNDS` sets how many kills each plan is put through.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, Instant};

use loadtest::person::{OwnServer, Person};
use reqwest::Method;
use serde_json::json;

use crate::killed::{Process, Victim, opened};
use crate::support::{NOTES, TABLE, records};

/// What the plan puts at risk.
const SPAN: Duration = Duration::from_secs(1);
/// How long is written before a kill: the span, and as much again that must be there.
const WRITING: Duration = Duration::from_secs(2);
/// How long anything here may take before the machine is taken for dead.
const PATIENCE: Duration = Duration::from_secs(120);

/// What one person writes until the machine dies: a number for each record, and when it was acknowledged.
async fn write_until_killed(server: &OwnServer, round: u64) -> Vec<(String, Instant)> {
    let mut acknowledged = Vec::new();
    for n in 0u64.. {
        let mark = format!("{round}-{n}");
        let path = format!("/ceps/write/{TABLE}");
        match server.json("notes", Method::POST, &path, Some(&json!({"mark": mark}))).await {
            Ok(_) => acknowledged.push((mark, Instant::now())),
            Err(_) => break,
        }
    }
    acknowledged
}

/// Kills everything while `server` is written to; the new process, and what is lost of what was acknowledged. Whatever
/// is lost must be the end of it, and no older than `span` when the machine died.
async fn lost_by_a_kill(
    process: Process,
    data: &Path,
    server: &OwnServer,
    round: u64,
    span: Duration,
) -> (Process, usize, usize) {
    let writing = tokio::spawn({
        let server = server.clone();
        async move { write_until_killed(&server, round).await }
    });
    tokio::time::sleep(WRITING).await;
    // Taken before, so that the machine died after it.
    let died = Instant::now();
    let port = process.address.port();
    Victim::Tree.strike(process, data);
    let acknowledged = tokio::time::timeout(PATIENCE, writing).await.unwrap().unwrap();
    assert!(!acknowledged.is_empty(), "nothing was written");
    let process = Process::start(data, port);
    let there = tokio::time::timeout(PATIENCE, records(server)).await.unwrap();
    let there: BTreeSet<_> = there.values().filter_map(|record| Some(record["mark"].as_str()?.to_owned())).collect();
    let kept = acknowledged.iter().take_while(|(mark, _)| there.contains(mark)).count();
    for (mark, at) in &acknowledged[kept..] {
        assert!(!there.contains(mark), "{mark} is there, and something before it is not");
        assert!(*at + span > died, "{mark} was acknowledged {:?} before the machine died, and is lost", died - *at);
    }
    let lost = acknowledged.len() - kept;
    (process, acknowledged.len(), lost)
}

async fn operator(process: &Process) -> Person {
    let operator = Person::at(process.address, &format!("http://localhost:{}", process.address.port())).unwrap();
    let answers = [("email", "olga@example.org"), ("password", "copper lantern walks north")];
    operator.submit(operator.form("/sign-in", "/sign-in").await.unwrap().with(&answers)).await.unwrap();
    operator
}

/// Sets what the first plan puts at risk.
async fn choose(process: &Process, seconds: &str) {
    let operator = operator(process).await;
    let form = operator.form("/operator/plans", "/operator/plans/").await.unwrap();
    operator.submit(form.with(&[("loss", seconds)])).await.unwrap();
}

/// Waits until the running server itself says what it promises.
async fn says(server: &OwnServer, words: &str) {
    let told = async {
        loop {
            let page = server.person.page(&format!("/servers/{}", server.name)).await;
            if page.is_ok_and(|page| page.contains(words)) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(PATIENCE, told).await.unwrap_or_else(|_| panic!("the dashboard never says: {words}"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_takes_no_more_than_the_plan_says() {
    const DURABLE: &str = "is on durable storage before it says so";
    let rounds: u64 = std::env::var("FREEHOLD_KILL_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(1);
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let (mut process, anna) = opened(&data).await;
    says(&anna, DURABLE).await;
    let (mut written, mut gone);

    for round in 0..rounds {
        (process, written, gone) = lost_by_a_kill(process, &data, &anna, round, Duration::ZERO).await;
        println!("durable: {gone} lost of {written}");
        assert_eq!(gone, 0);
    }

    choose(&process, "1").await;
    let console = format!("http://localhost:{}", process.address.port());
    let page = Person::at(process.address, &console).unwrap().page("/sign-up").await.unwrap();
    assert!(page.contains("what was saved in the last 1.0 s may be lost"), "people read it before they choose");
    let berta = Person::at(process.address, &console).unwrap().sign_up("berta").await.unwrap();
    berta.install(NOTES).await.unwrap();
    says(&berta, "what was saved in the last 1.0 s may be lost").await;
    assert!(berta.person.page("/bill").await.unwrap().contains("what was saved in the last 1.0 s may be lost"));
    says(&anna, DURABLE).await;
    for round in 0..rounds {
        (process, written, gone) = lost_by_a_kill(process, &data, &berta, round, SPAN).await;
        println!("within 1 s: {gone} lost of {written}");
    }

    // Made safer while the server runs: it holds from the moment the server says so.
    says(&berta, "what was saved in the last 1.0 s may be lost").await;
    choose(&process, "0").await;
    says(&berta, DURABLE).await;
    for round in 0..rounds {
        (process, written, gone) = lost_by_a_kill(process, &data, &berta, 1000 + round, Duration::ZERO).await;
        println!("made durable: {gone} lost of {written}");
        assert_eq!(gone, 0);
    }
    process.kill(&data);
}
