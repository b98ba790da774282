//! A server comes here from another provider: whole, in time, after any crash; and whatever the other provider does ends in
//! words, with the server here as it was.

use control_plane::moves::arriving::{self, Answer as Reply, Arrival, Looked, State, Step, Whether};
use control_plane::moves::{Direction, Standing, Word, fleet, fleet_sums};
use control_plane::paging::Ask;
use control_plane::{Actor, Error, Kind, audit, mail};
use export_format::Digest;
use export_format::moving::{Handover, RecallAnswer, RecallRequest};
use tenant_runtime::ids::ServerId;
use url::Url;
use uuid::Uuid;

use crate::support::{At, Database, Fault, Hitch, Source, World, eventually, on_each_database};

const SESSION: &str = "session-of-the-test";
const CONTENT: &[u8] = b"what Anna had";

/// Anna has a server here, and one elsewhere.
async fn given(world: &World, source: &Source) -> (Actor, ServerId) {
    world.set_up().await;
    let (anna, made) = world.sign_up("anna").await;
    *world.host.follower().signed_by.lock() = source.fingerprint();
    (anna, made.server)
}

async fn asked(world: &World, anna: &Actor, server: ServerId, source: &Source) -> (Uuid, Url) {
    let url = arriving::begin(&world.plane, anna, SESSION, server, &source.address()).await.unwrap();
    (named(&url), url)
}

fn named(url: &Url) -> Uuid {
    url.query_pairs().find(|(name, _)| name == "move").unwrap().1.parse().unwrap()
}

/// Both have agreed, and the work begins.
async fn agreed(world: &World, anna: &Actor, server: ServerId, source: &Source) -> Uuid {
    let (id, url) = asked(world, anna, server, source).await;
    let code = source.consents(&url);
    arriving::returned(&world.plane, anna, SESSION, id, Reply::Code(code)).await.unwrap();
    id
}

async fn now(world: &World, id: Uuid) -> Arrival {
    arriving::arrival(&world.plane, &Actor::System, id).await.unwrap()
}

async fn ended(world: &World, id: Uuid) -> Arrival {
    eventually("the move ends", async || now(world, id).await.state.is_final()).await;
    now(world, id).await
}

/// It is over, and nothing of it is left.
async fn tidied(world: &World, id: Uuid) {
    eventually("the stage is gone", async || world.host.follower().stages() == 0).await;
    assert!(world.host.follower().live().is_none(), "the server here is as it was");
    assert_eq!(arriving::whether(&world.plane, id).await.unwrap(), Whether::Cancelled);
}

async fn told(world: &World, id: Uuid) -> String {
    let lines = arriving::log(&world.plane, &Actor::System, id).await.unwrap();
    lines.into_iter().map(|line| line.text + "\n").collect()
}

async fn subjects(world: &World) -> Vec<String> {
    let letters = mail::outbox(&world.plane, &Actor::System, &Ask::default()).await.unwrap().items;
    letters.into_iter().map(|letter| letter.subject).collect()
}

fn is_here(world: &World, source: &Source) -> bool {
    world.host.follower().live().is_some_and(|live| live.content == source.content())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_comes_here_with_everything_while_it_is_written_to() {
    on_each_database(async |world: &mut World| {
        let source = Source::start(CONTENT).await;
        let (anna, server) = given(world, &source).await;
        let found = arriving::look(&world.plane, &anna, server, &source.address()).await.unwrap();
        let Looked::Here(found) = found else { panic!("{found:?}") };
        assert_eq!((found.name.as_str(), found.forward_days), ("Oldenhof", 90));
        assert_eq!(arriving::arrivals(&world.plane, &anna, server).await.unwrap(), []);

        source.misbehaves(Fault::Busy(At::CatchUp));
        let id = agreed(world, &anna, server, &source).await;
        eventually("the first round is staged", async || now(world, id).await.step == Step::CatchUp).await;
        assert!(source.write(b", and what she wrote meanwhile"));
        assert_eq!(arriving::whether(&world.plane, id).await.unwrap(), Whether::Waiting);
        let busy = arriving::begin(&world.plane, &anna, SESSION, server, &source.address()).await.unwrap_err();
        assert_eq!(busy.kind(), Kind::Conflict);
        let busy = world.plane.operations().start_import(&anna, server, 7).await.unwrap_err();
        assert_eq!(busy.kind(), Kind::Conflict);
        source.misbehaves(Fault::None);
        arriving::hurry(&world.plane, &anna, id).await.unwrap();

        let done = ended(world, id).await;
        assert_eq!((done.state, done.error.as_deref()), (State::Done, None), "{}", told(world, id).await);
        assert!(is_here(world, &source) && source.has_handed() && !source.write(b"!"));
        let live = world.host.follower().live().unwrap();
        let handover = Handover::open(&live.request.handover).unwrap();
        assert_eq!((handover.id, handover.payload), (id, Digest::of(&source.content())));
        assert_eq!((live.request.guests.len(), live.request.own.address.as_str()), (1, "http://anna.localhost:8080"));
        let settled = source.settled().unwrap();
        assert_eq!((settled.id, &settled.server), (id, &handover.successor));
        assert_eq!(arriving::whether(&world.plane, id).await.unwrap(), Whether::Active);
        assert_eq!(done.forwards, Some(handover.forward_until));
        assert!(done.paused_ms.is_some() && done.report.is_some() && done.is_live() && !done.can_stop());
        assert!(done.steps.iter().all(|step| step.state.word() == "done"));
        assert!(subjects(world).await.iter().any(|subject| subject == "Your server has moved"));
        let events = audit::events(&world.plane, &anna, server, &Ask::default()).await.unwrap().items;
        assert!(events.iter().any(|event| event.text.contains("took the place of what was here")), "{events:?}");
        assert_eq!(source.held(), 1);
        for secret in ["token-of-the-test", "code-of-the-test"] {
            assert_eq!(world.rows_with("move_in", "token", secret).await, 0);
            assert_eq!(world.rows_with("move_in", "agreed", secret).await, 0);
        }

        // Whoever asks for its old address is told where it is.
        let moved = arriving::look(&world.plane, &anna, server, &source.address()).await.unwrap();
        assert_eq!(moved, Looked::Moved("http://anna.localhost:8080".into()));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_is_killed_at_any_step_goes_on_there() {
    let steps = [
        (Step::FirstRound, Fault::Busy(At::FirstRound), Hitch::None),
        (Step::FirstRound, Fault::Busy(At::Archive), Hitch::None),
        (Step::FirstRound, Fault::BreaksOff(5), Hitch::None),
        (Step::Staging, Fault::None, Hitch::Confirm),
        (Step::CatchUp, Fault::Busy(At::CatchUp), Hitch::None),
        (Step::Held, Fault::Busy(At::Held), Hitch::None),
        (Step::HandOver, Fault::Busy(At::HandOver), Hitch::None),
        (Step::HandOver, Fault::HandsUnheard, Hitch::None),
        (Step::Activate, Fault::None, Hitch::Activate),
        (Step::Activate, Fault::None, Hitch::ActivateUnheard),
        (Step::Settle, Fault::Busy(At::Settled), Hitch::None),
    ];
    on_each_database(async |world: &mut World| {
        let (anna, mut names) = (world.set_up().await, 0);
        let _ = anna;
        for (step, fault, hitch) in steps {
            names += 1;
            let source = Source::start(CONTENT).await;
            let (berta, made) = world.sign_up(&format!("berta{names}")).await;
            *world.host.follower().signed_by.lock() = source.fingerprint();
            source.misbehaves(fault);
            *world.host.follower().hitch.lock() = hitch;
            let id = agreed(world, &berta, made.server, &source).await;
            eventually("it hangs at its step", async || {
                let now = now(world, id).await;
                now.step == step && now.error.is_some()
            })
            .await;
            world.restart().await;
            source.misbehaves(Fault::None);
            *world.host.follower().hitch.lock() = Hitch::None;
            let done = ended(world, id).await;
            assert_eq!(done.state, State::Done, "at {step:?}, {fault:?}: {}", told(world, id).await);
            assert!(is_here(world, &source), "at {step:?}, {fault:?}");
            assert!(source.settled().is_some());
            let total = source.content().len() as u64;
            assert!(done.arrived >= total && source.rounds() <= 4, "at {step:?}: {} rounds", source.rounds());
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_can_be_stopped_until_the_old_place_stands_down_and_all_is_as_it_was() {
    let steps = [
        (Step::FirstRound, Fault::Busy(At::FirstRound), Hitch::None),
        (Step::FirstRound, Fault::Busy(At::Archive), Hitch::None),
        (Step::Staging, Fault::None, Hitch::Confirm),
        (Step::CatchUp, Fault::Busy(At::CatchUp), Hitch::None),
        (Step::Held, Fault::Busy(At::Held), Hitch::None),
        (Step::HandOver, Fault::Busy(At::HandOver), Hitch::None),
        (Step::Activate, Fault::None, Hitch::Activate),
        (Step::Settle, Fault::Busy(At::Settled), Hitch::None),
    ];
    on_each_database(async |world: &mut World| {
        let _ = world.set_up().await;
        for (nth, (step, fault, hitch)) in steps.into_iter().enumerate() {
            let source = Source::start(CONTENT).await;
            let (berta, made) = world.sign_up(&format!("berta{nth}")).await;
            *world.host.follower().signed_by.lock() = source.fingerprint();
            source.misbehaves(fault);
            *world.host.follower().hitch.lock() = hitch;
            let id = agreed(world, &berta, made.server, &source).await;
            eventually("it hangs at its step", async || {
                let now = now(world, id).await;
                now.step == step && now.error.is_some()
            })
            .await;
            let stopped = arriving::cancel(&world.plane, &berta, id).await;
            if step.can_stop() {
                assert_eq!(stopped.unwrap().state, State::Cancelled, "at {step:?}");
                tidied(world, id).await;
                eventually("the old place knows", async || source.is_cancelled()).await;
                assert!(source.write(b"!") && !source.has_handed(), "at {step:?}");
                let again = arriving::cancel(&world.plane, &berta, id).await.unwrap();
                assert_eq!(again.state, State::Cancelled);
            } else {
                assert_eq!(stopped.unwrap_err().kind(), Kind::Conflict, "at {step:?}");
                source.misbehaves(Fault::None);
                *world.host.follower().hitch.lock() = Hitch::None;
                arriving::hurry(&world.plane, &berta, id).await.unwrap();
                assert_eq!(ended(world, id).await.state, State::Done);
            }
        }
        assert!(!subjects(world).await.iter().any(|subject| subject == "Your server has not moved"));
    })
    .await;
}

/// What is answered to a recall. While a server is placed anew it does not answer, and the old place asks again.
async fn recalled(world: &World, id: Uuid, asked: &RecallRequest) -> RecallAnswer {
    loop {
        match arriving::recalled(&world.plane, id, asked).await {
            Err(refused) if refused.word() == Some(Word::Busy) => {
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            }
            answer => return answer.unwrap(),
        }
    }
}

/// Wherever a move hangs, stopped there or not, when the old place wants the server back: it is live here or never will be, the answer
/// says which, the second answer is the first, and neither a start nor what is tried again makes it otherwise.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_handed_over_goes_live_here_or_is_given_back_and_never_both() {
    let steps = [
        (Step::HandOver, Fault::HandsUnheard, Hitch::None, false),
        (Step::HandOver, Fault::HandsUnheard, Hitch::None, true),
        (Step::Activate, Fault::None, Hitch::Activate, false),
        (Step::Activate, Fault::None, Hitch::ActivateUnheard, false),
        (Step::Settle, Fault::Busy(At::Settled), Hitch::None, false),
    ];
    on_each_database(async |world: &mut World| {
        let _ = world.set_up().await;
        for (nth, (step, fault, hitch, stops)) in steps.into_iter().enumerate() {
            let what = format!("{step:?}, {fault:?}, {hitch:?}, stopped: {stops}");
            let source = Source::start(CONTENT).await;
            let (berta, made) = world.sign_up(&format!("berta{nth}")).await;
            *world.host.follower().signed_by.lock() = source.fingerprint();
            source.misbehaves(fault);
            *world.host.follower().hitch.lock() = hitch;
            let id = agreed(world, &berta, made.server, &source).await;
            eventually("it hangs at its step", async || {
                let now = now(world, id).await;
                now.step == step && now.error.is_some()
            })
            .await;
            if stops {
                let stopped = arriving::cancel(&world.plane, &berta, id).await.unwrap();
                assert_eq!(stopped.state, State::Cancelled, "{what}");
            }
            let is_live = |world: &World| {
                world.host.follower().live().is_some_and(|live| Some(live.request.handover) == source.handed())
            };
            let is_to_stay = is_live(world);
            assert_eq!(is_to_stay, hitch == Hitch::ActivateUnheard || step == Step::Settle, "{what}");

            let forged = arriving::recalled(&world.plane, id, &source.recalls(Some(5))).await;
            assert!(forged.is_err(), "{what}: the hand-over alone is public");
            assert!(arriving::recalled(&world.plane, Uuid::now_v7(), &source.recalls(None)).await.is_err());
            let asked = source.recalls(None);
            let handover = asked.open().unwrap().unwrap();
            let answer = recalled(world, id, &asked).await;
            assert!(answer.is_on(&asked.handover, &handover), "{what}: {answer:?}");
            assert_eq!(matches!(answer, RecallAnswer::Active { .. }), is_to_stay, "{what}");

            world.restart().await;
            source.misbehaves(Fault::None);
            *world.host.follower().hitch.lock() = Hitch::None;
            arriving::hurry(&world.plane, &berta, id).await.unwrap();
            let end = ended(world, id).await;
            assert_eq!(end.state, if is_to_stay { State::Done } else { State::Cancelled }, "{what}");
            assert_eq!(is_live(world), is_to_stay, "{what}");
            assert_eq!(recalled(world, id, &asked).await, answer, "{what}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_found_at_an_address_is_held_against_what_was_asked() {
    let world = World::new(Database::sqlite(), None).await;
    let source = Source::start(CONTENT).await;
    let (anna, server) = given(&world, &source).await;
    let look =
        async |address: &str| -> Error { arriving::look(&world.plane, &anna, server, address).await.unwrap_err() };
    for (fault, part) in [
        (Fault::OtherVersion, "does not speak a version"),
        (Fault::ForeignEndpoint, "not its own"),
        (Fault::ForeignServer, "no server of that address"),
    ] {
        source.misbehaves(fault);
        let error = look(&source.address()).await;
        assert!(error.sentence().contains(part) && error.field() == Some("address"), "{fault:?}: {error:?}");
    }
    source.misbehaves(Fault::None);
    // The provider's own name is no server, and neither are we, nor nobody.
    let provider = source.address().replace("anna.", "");
    assert!(look(&provider).await.sentence().contains("no server"), "no server at its provider's address");
    assert!(look("http://localhost:8080").await.sentence().contains("this provider"));
    let nobody = look("http://127.0.0.1:1").await;
    assert_eq!((nobody.kind(), nobody.field()), (Kind::Retry, Some("address")));
    assert_eq!(look("ftp://x.example").await.kind(), Kind::Fix);
    assert_eq!(world.count("move_in").await, 0);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_browser_that_began_it_brings_the_code_back() {
    on_each_database(async |world: &mut World| {
        let source = Source::start(CONTENT).await;
        let (anna, server) = given(world, &source).await;
        let (tom, _) = world.sign_up("tom").await;
        let (id, url) = asked(world, &anna, server, &source).await;
        assert_eq!(arriving::consent(&world.plane, &anna, id).await.unwrap(), url, "it can be gone to again");
        let code = source.consents(&url);
        let answer = || Reply::Code(code.clone());
        let other = arriving::returned(&world.plane, &anna, "another session", id, answer()).await.unwrap_err();
        assert_eq!(other.kind(), Kind::Denied);
        let other = arriving::returned(&world.plane, &tom, SESSION, id, answer()).await.unwrap_err();
        assert_eq!(other.kind(), Kind::Gone);
        assert_eq!(now(world, id).await.state, State::Asked);

        // A wrong code is the end of it, and says so.
        let wrong = arriving::returned(&world.plane, &anna, SESSION, id, Reply::Code("x".into())).await.unwrap();
        assert_eq!(wrong.state, State::Failed);
        assert!(wrong.error.unwrap().contains("This code does not hold."));

        let (id, _) = asked(world, &anna, server, &source).await;
        let no = arriving::returned(&world.plane, &anna, SESSION, id, Reply::Refused).await.unwrap();
        assert_eq!(no.state, State::Cancelled);
        // One that waits makes room for another, and one that nobody comes back for is let go of.
        let (one, _) = asked(world, &anna, server, &source).await;
        let (two, _) = asked(world, &anna, server, &source).await;
        assert_eq!((now(world, one).await.state, now(world, two).await.state), (State::Cancelled, State::Asked));
        world.clock.forward_minutes(61);
        arriving::hurry(&world.plane, &anna, two).await.unwrap();
        assert_eq!(ended(world, two).await.state, State::Cancelled);
        assert_eq!(source.rounds(), 0);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_agreed_on_is_held_against_what_was_asked() {
    let world = World::new(Database::sqlite(), None).await;
    let source = Source::start(CONTENT).await;
    let (anna, server) = given(&world, &source).await;
    for (fault, part) in [
        (Fault::ForeignUrl, "not its own"),
        (Fault::OtherServer, "another server than was asked for"),
        (Fault::Offers(u64::MAX), "your plan here holds"),
    ] {
        source.misbehaves(Fault::None);
        let (id, url) = asked(&world, &anna, server, &source).await;
        let code = source.consents(&url);
        source.misbehaves(fault);
        let ended = arriving::returned(&world.plane, &anna, SESSION, id, Reply::Code(code)).await.unwrap();
        assert_eq!(ended.state, State::Failed, "{fault:?}");
        assert!(ended.error.as_ref().unwrap().contains(part), "{fault:?}: {ended:?}");
    }
    assert_eq!(source.rounds(), 0);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_the_old_place_does_ends_in_words_and_leaves_the_server_as_it_was() {
    let faults = [
        (Fault::Redirects, Hitch::None, "answered with 302"),
        (Fault::Garbage, Hitch::None, "cannot be read"),
        (Fault::EndlessMessage, Hitch::None, "more than a message may be long"),
        (Fault::Announces(u64::MAX), Hitch::None, "your plan here holds"),
        (Fault::OtherPart, Hitch::None, "another part than was asked for"),
        (Fault::WrongDigest, Hitch::None, "do not hold the same"),
        (Fault::Differs, Hitch::None, "do not hold the same"),
        (Fault::OtherKey, Hitch::None, "about another server"),
        (Fault::OtherSuccessor, Hitch::None, "names another successor"),
        (Fault::OtherPayload, Hitch::None, "about other content"),
        (Fault::CannotMake(u32::MAX), Hitch::None, "too tired"),
        (Fault::Withdrawn, Hitch::None, "permission"),
        (Fault::None, Hitch::Garble, "do not hold the same"),
        (Fault::None, Hitch::Refuse, "The record 7 is damaged"),
    ];
    on_each_database(async |world: &mut World| {
        let _ = world.set_up().await;
        for (nth, (fault, hitch, part)) in faults.into_iter().enumerate() {
            let source = Source::start(CONTENT).await;
            let (berta, made) = world.sign_up(&format!("berta{nth}")).await;
            *world.host.follower().signed_by.lock() = source.fingerprint();
            *world.host.follower().hitch.lock() = hitch;
            let (id, url) = asked(world, &berta, made.server, &source).await;
            let code = source.consents(&url);
            source.misbehaves(fault);
            arriving::returned(&world.plane, &berta, SESSION, id, Reply::Code(code)).await.unwrap();
            eventually("the move ends", async || {
                arriving::hurry(&world.plane, &berta, id).await.unwrap();
                now(world, id).await.state.is_final()
            })
            .await;
            let ended = now(world, id).await;
            assert_eq!(ended.state, State::Failed, "{fault:?}");
            let why = ended.error.unwrap();
            assert!(why.contains(part), "{fault:?}: {why}");
            assert!(told(world, id).await.contains(part), "{fault:?}: {}", told(world, id).await);
            tidied(world, id).await;
            if part == "do not hold the same" && fault != Fault::Differs {
                assert!(why.contains(&Digest::of(CONTENT).to_string()), "both digests are told: {why}");
                assert!(source.rounds() >= 2, "with everything, once more");
            }
        }
        assert!(subjects(world).await.iter().any(|subject| subject == "Your server has not moved"));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_signed_by_another_server_is_not_taken() {
    let world = World::new(Database::sqlite(), None).await;
    let source = Source::start(CONTENT).await;
    let (anna, server) = given(&world, &source).await;
    *world.host.follower().signed_by.lock() = "SHA256:of-another".into();
    let id = agreed(&world, &anna, server, &source).await;
    let ended = ended(&world, id).await;
    assert!(ended.state == State::Failed && ended.error.unwrap().contains("signed by another server"));
    tidied(&world, id).await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_pass_is_tried_again_and_told_and_in_the_end_it_arrives() {
    let faults = [Fault::EndlessStream, Fault::BreaksOff(3), Fault::Writes(3), Fault::CannotMake(2), Fault::Forgets];
    on_each_database(async |world: &mut World| {
        let _ = world.set_up().await;
        for (nth, fault) in faults.into_iter().enumerate() {
            let source = Source::start(CONTENT).await;
            let (berta, made) = world.sign_up(&format!("berta{nth}")).await;
            *world.host.follower().signed_by.lock() = source.fingerprint();
            source.misbehaves(fault);
            let id = agreed(world, &berta, made.server, &source).await;
            eventually("it arrives", async || {
                let now = now(world, id).await;
                if now.error.is_some() && !now.state.is_final() {
                    arriving::hurry(&world.plane, &berta, id).await.unwrap();
                }
                now.state.is_final()
            })
            .await;
            let log = told(world, id).await;
            assert_eq!(now(world, id).await.state, State::Done, "{fault:?}: {log}");
            assert!(is_here(world, &source), "{fault:?}");
            match fault {
                Fault::Writes(times) => {
                    assert_eq!(source.held(), times + 1);
                    assert!(log.contains("goes on there"), "{log}");
                }
                Fault::BreaksOff(_) => assert!(log.contains("broke off"), "{log}"),
                Fault::CannotMake(_) => assert!(log.contains("too tired"), "{log}"),
                _ => {}
            }
            if matches!(fault, Fault::BreaksOff(_) | Fault::EndlessStream) {
                assert!(source.gave() < 40 * CONTENT.len() as u64, "it goes on where it stopped");
            }
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_silent_for_a_week_is_given_up_and_who_stops_there_stops_here() {
    on_each_database(async |world: &mut World| {
        let _ = world.set_up().await;
        let (anna, made) = world.sign_up("anna").await;
        let source = Source::start(CONTENT).await;
        *world.host.follower().signed_by.lock() = source.fingerprint();
        source.misbehaves(Fault::Busy(At::CatchUp));
        let id = agreed(world, &anna, made.server, &source).await;
        eventually("it hangs", async || now(world, id).await.error.is_some()).await;
        assert_eq!(now(world, id).await.state, State::Running);
        world.clock.forward_days(8);
        arriving::hurry(&world.plane, &anna, id).await.unwrap();
        let late = ended(world, id).await;
        assert!(late.state == State::Failed && late.error.as_ref().unwrap().contains("seven days"), "{late:?}");
        tidied(world, id).await;

        let source = Source::start(CONTENT).await;
        *world.host.follower().signed_by.lock() = source.fingerprint();
        source.misbehaves(Fault::Busy(At::CatchUp));
        let id = agreed(world, &anna, made.server, &source).await;
        eventually("it hangs", async || now(world, id).await.error.is_some()).await;
        source.misbehaves(Fault::Stopped);
        arriving::hurry(&world.plane, &anna, id).await.unwrap();
        let stopped = ended(world, id).await;
        assert_eq!(
            (stopped.state, stopped.error.as_deref()),
            (State::Cancelled, Some("It was stopped at the old place."))
        );
        tidied(world, id).await;
    })
    .await;
}

/// What keeps a move at a step; nothing keeps one from its end that waits for a person.
fn hindering(step: Step) -> Option<(Fault, Hitch)> {
    match step {
        Step::Consent => None,
        Step::FirstRound => Some((Fault::Busy(At::Archive), Hitch::None)),
        Step::Staging => Some((Fault::None, Hitch::Confirm)),
        Step::CatchUp => Some((Fault::Busy(At::CatchUp), Hitch::None)),
        Step::Held => Some((Fault::Busy(At::Held), Hitch::None)),
        Step::HandOver => Some((Fault::Busy(At::HandOver), Hitch::None)),
        Step::Activate => Some((Fault::None, Hitch::Activate)),
        Step::Settle => Some((Fault::Busy(At::Settled), Hitch::None)),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_was_away_for_days_at_whatever_step_it_goes_on_there_or_was_given_up_in_time() {
    for (step, days) in Step::ALL.into_iter().flat_map(|step| [(step, 6), (step, 8)]) {
        let Some((fault, hitch)) = hindering(step) else { continue };
        let mut world = World::new(Database::sqlite(), None).await;
        let source = Source::start(CONTENT).await;
        let (anna, server) = given(&world, &source).await;
        source.misbehaves(fault);
        *world.host.follower().hitch.lock() = hitch;
        let id = agreed(&world, &anna, server, &source).await;
        eventually("it hangs at its step", async || {
            let now = now(&world, id).await;
            now.step == step && now.error.is_some()
        })
        .await;
        world.clock.forward_days(days);
        world.restart().await;
        let is_given_up = days > 7 && step < Step::HandOver;
        if is_given_up {
            let late = ended(&world, id).await;
            assert!(late.state == State::Failed && late.error.as_ref().unwrap().contains("seven days"), "{late:?}");
            source.misbehaves(Fault::None);
            tidied(&world, id).await;
            assert!(source.write(b"!") && !source.has_handed(), "at {step:?} after {days} days");
        } else {
            source.misbehaves(Fault::None);
            *world.host.follower().hitch.lock() = Hitch::None;
            arriving::hurry(&world.plane, &anna, id).await.unwrap();
            let done = ended(&world, id).await;
            assert_eq!(done.state, State::Done, "at {step:?} after {days} days: {}", told(&world, id).await);
            assert!(is_here(&world, &source) && !source.write(b"!"), "at {step:?} after {days} days");
        }
        world.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_place_that_stood_down_and_was_away_for_weeks_is_asked_until_it_says_so() {
    on_each_database(async |world: &mut World| {
        let _ = world.set_up().await;
        let (anna, made) = world.sign_up("anna").await;
        let source = Source::start(CONTENT).await;
        *world.host.follower().signed_by.lock() = source.fingerprint();
        source.misbehaves(Fault::HandsUnheard);
        let id = agreed(world, &anna, made.server, &source).await;
        eventually("it has stood down unheard", async || source.has_handed() && now(world, id).await.error.is_some())
            .await;
        world.clock.forward_days(20);
        arriving::hurry(&world.plane, &anna, id).await.unwrap();
        world.restart().await;
        eventually("it is asked again", async || now(world, id).await.error.is_some()).await;
        assert_eq!((now(world, id).await.state, now(world, id).await.step), (State::Running, Step::HandOver));
        assert_eq!(arriving::whether(&world.plane, id).await.unwrap(), Whether::Waiting);
        source.misbehaves(Fault::None);
        arriving::hurry(&world.plane, &anna, id).await.unwrap();
        assert_eq!(ended(world, id).await.state, State::Done, "{}", told(world, id).await);
        assert!(is_here(world, &source));

        // One that never comes back is waited for no longer than its address would lead on.
        let (tom, made) = world.sign_up("tom").await;
        let source = Source::start(CONTENT).await;
        *world.host.follower().signed_by.lock() = source.fingerprint();
        source.misbehaves(Fault::Busy(At::HandOver));
        let id = agreed(world, &tom, made.server, &source).await;
        eventually("it hangs", async || {
            let now = now(world, id).await;
            now.step == Step::HandOver && now.error.is_some()
        })
        .await;
        world.clock.forward_days(7 + 90 + 1);
        arriving::hurry(&world.plane, &tom, id).await.unwrap();
        let late = ended(world, id).await;
        assert_eq!(late.state, State::Failed);
        assert!(late.error.as_ref().unwrap().contains("never said whether it has stood down"), "{late:?}");
        assert_eq!(arriving::whether(&world.plane, id).await.unwrap(), Whether::Cancelled);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn several_come_at_once() {
    let world = World::new(Database::sqlite(), None).await;
    let _ = world.set_up().await;
    let source = Source::start(CONTENT).await;
    *world.host.follower().signed_by.lock() = source.fingerprint();
    let mut coming = Vec::new();
    for nth in 0..8 {
        let (berta, made) = world.sign_up(&format!("berta{nth}")).await;
        let source = Source::start(CONTENT).await;
        let id = agreed(&world, &berta, made.server, &source).await;
        coming.push((id, source));
    }
    for (id, source) in &coming {
        assert_eq!(ended(&world, *id).await.state, State::Done, "{}", told(&world, *id).await);
        assert!(source.settled().is_some());
    }
    let unknown = arriving::whether(&world.plane, Uuid::now_v7()).await.unwrap();
    assert_eq!((unknown, unknown.word()), (Whether::Unknown, "unknown"));
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_runs_the_business_sees_every_move_and_what_hinders_it() {
    on_each_database(async |world: &mut World| {
        let operator = world.set_up().await;
        let list = async |world: &World, search: &str, only: &str| {
            let ask = Ask { search: search.into(), only: only.into(), ..Ask::default() };
            fleet(&world.plane, &operator, &ask).await.unwrap().items
        };
        assert_eq!(list(world, "", "").await, []);
        assert_eq!(fleet_sums(&world.plane, &operator).await.unwrap().coming, 0);
        let mut ids = Vec::new();
        for (name, fault) in [("anna", Fault::None), ("berta", Fault::Busy(At::CatchUp)), ("clara", Fault::Differs)] {
            let source = Source::start(CONTENT).await;
            let (person, made) = world.sign_up(name).await;
            *world.host.follower().signed_by.lock() = source.fingerprint();
            source.misbehaves(fault);
            let id = agreed(world, &person, made.server, &source).await;
            eventually("it is over, or hangs", async || {
                let now = now(world, id).await;
                now.state.is_final() || now.error.is_some() && fault == Fault::Busy(At::CatchUp)
            })
            .await;
            ids.push(id);
            world.clock.forward_minutes(1);
        }
        let all = list(world, "", "").await;
        assert_eq!(all.iter().map(|line| line.id).rev().collect::<Vec<_>>(), ids, "the newest first");
        let stand: Vec<_> = all.iter().rev().map(|line| (line.name.as_str(), line.standing)).collect();
        assert_eq!(stand, [("anna", Standing::Done), ("berta", Standing::Hindered), ("clara", Standing::Failed)]);
        assert!(all.iter().all(|line| line.direction == Direction::In && line.address.contains("anna.localhost")));
        assert!(all[0].trouble.is_some() && all[1].trouble.is_some() && all[2].trouble.is_none());
        assert!(all[2].bytes >= CONTENT.len() as u64 && all[2].step == Step::Settle.title());
        let sums = fleet_sums(&world.plane, &operator).await.unwrap();
        assert_eq!((sums.coming, sums.leaving, sums.hindered), (1, 0, 1));
        for (search, only, found) in [
            ("berta", "", 1),
            ("BERTA", "hindered", 1),
            ("berta", "done", 0),
            ("", "failed", 1),
            ("anna.localhost", "", 3),
            (&ids[2].to_string(), "", 1),
            ("%", "", 0),
        ] {
            assert_eq!(list(world, search, only).await.len(), found, "{search:?} {only:?}");
        }
    })
    .await;
}
