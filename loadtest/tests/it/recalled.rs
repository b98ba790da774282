//! A server is taken back where it stood down, between two whole providers: the new place signs that it never goes live, or is dead
//! and its owner says that it is to live here all the same. Whatever the new place hears later, one of the two is live.

use std::time::Duration;

use control_plane::moves::arriving::Step;
use loadtest::moving::wire::{Weather, Wire};
use serde_json::{Value, json};

use crate::bounds::{bounded, until};
use crate::en_route::{BEFORE, Moving, Standing, THERE, barrier};
use crate::killed::Victim;
use crate::support::{records, take_back, write};

/// A has stood down, and its word is lost on its way to B, which does not get to ask again before the wire lets it.
async fn stood_down(wire: &Wire, b: &Standing, name: &str) -> Moving {
    let (at_a, at_b) = Moving::furnish(wire, b.address, name).await;
    let moving = Moving::between(wire, at_a, at_b, None, Step::Activate).await;
    bounded("the hand-over", wire.holds()).await;
    assert_eq!(said(&moving, "state").await, "moved", "it has stood down");
    wire.set(Weather::Cut);
    tokio::time::sleep(Duration::from_millis(100)).await;
    wire.hold_up(barrier(Step::HandOver).unwrap());
    wire.set(Weather::Fair);
    moving
}

/// What A says of the server.
async fn said(moving: &Moving, member: &str) -> Value {
    let card = format!("{}/.well-known/pcc-server", moving.at_a.address().unwrap());
    let card: Value = moving.at_a.person.ask(&card).await.unwrap().json().await.unwrap();
    card[member].clone()
}

/// It lives at A with everything, and never at B.
async fn lives_at_a_alone(moving: &Moving) {
    write(&moving.at_a, &json!({"after": "the recall"})).await;
    let found = records(&moving.at_a).await;
    assert_eq!(found.values().filter(|record| record["before"] == true).count(), BEFORE);
    assert_eq!(said(moving, "state").await, "here");
    until("B gives it up", async || moving.step().await == "cancelled").await;
    let led = moving.at_a.person.ask(&moving.at_a.address().unwrap()).await.unwrap();
    assert!(!led.url().host_str().unwrap().ends_with(THERE), "{}", led.url());
    assert_eq!(said(moving, "state").await, "here");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_never_went_live_is_taken_back_by_its_owner_and_lives_at_one_place() {
    let dir = tempfile::tempdir().unwrap();
    let wire = Wire::new().await.unwrap();
    let _a = Standing::open(&dir.path().join("a"), "localhost", Some(&wire)).await;
    let mut b = Standing::open(&dir.path().join("b"), THERE, None).await;

    // B can be asked and has not heard of the hand-over: it signs that it never goes live by it.
    let moving = stood_down(&wire, &b, "anna").await;
    let (at, page) = take_back(&moving.at_a).await;
    assert!(at.path().ends_with("/moving"), "{at}: {page}");
    wire.let_go();
    lives_at_a_alone(&moving).await;

    // B is dead: nobody says whether the server is live there, and nothing is done before its owner says so.
    let moving = stood_down(&wire, &b, "ben").await;
    b.end(|process, data| Victim::Tree.strike(process, data)).await;
    let (at, page) = take_back(&moving.at_a).await;
    assert!(page.contains("does not say whether your server is live there"), "{page}");
    assert_eq!(said(&moving, "state").await, "moved", "nothing was changed");
    let anyway = format!("/servers/{}/moving/back/anyway", moving.at_a.name);
    let anyway = moving.at_a.person.form_in(&page, &at, &anyway).unwrap();
    let host = moving.at_a.host(None).unwrap();
    let host = host.split(':').next().unwrap().to_owned();
    let (at, page) = moving.at_a.person.submit(anyway.with(&[("address", &host)])).await.unwrap();
    assert!(at.path().ends_with("/moving"), "{at}: {page}");
    write(&moving.at_a, &json!({"while": "B is dead"})).await;
    // B comes back and asks for the hand-over once more.
    wire.let_go();
    b.come_back().await;
    moving.hurry().await;
    lives_at_a_alone(&moving).await;
}
