//! A server leaves for another provider: what its owner, the target and the gateway are told at each step, whatever is
//! asked twice and whatever is killed when.

use axum::body::Body;
use control_plane::gateway::{Admission, Found};
use control_plane::moves::arriving::{self, Answer, State};
use control_plane::moves::leaving::{Back, Stand};
use control_plane::moves::{Direction, Refusal, Standing, Word, leaving};
use control_plane::paging::Ask;
use control_plane::{Actor, Kind, audit, mail, servers, subscriptions};
use export_format::Digest;
use export_format::moving::{
    Agreed, Deletion, Handed, Handover, HandoverRequest, MoveState, Round, RoundRequest, RoundState,
};
use http::{HeaderMap, Response};
use http_body_util::BodyExt as _;
use tenant_runtime::ids::ServerId;

use crate::support::{Recalled, Source, Target, World, archive_of, eventually, on_each_database, own_key};

/// How long archives are here.
const BYTES: u64 = 5000;

/// Anna, her server, and a provider she wants to go to.
struct Story {
    anna: Actor,
    server: ServerId,
    operator: Actor,
    target: Target,
}

impl Story {
    async fn begin(world: &World) -> Self {
        let operator = world.set_up().await;
        let (anna, made) = world.sign_up("anna").await;
        world.host.archive_has(BYTES);
        Self { anna, server: made.server, operator, target: Target::start().await }
    }

    /// Anna says yes; the code that the target gets.
    async fn code(&self, world: &World, number: u128) -> String {
        let back = leaving::consent(&world.plane, &self.anna, &self.target.asks(number)).await.unwrap();
        assert!(back.starts_with(&format!("{}/back?move=", self.target.origin)), "{back}");
        back.split_once("&code=").unwrap().1.to_owned()
    }

    async fn agreed(&self, world: &World, number: u128) -> Agreed {
        let code = self.code(world, number).await;
        leaving::tokens(&world.plane, &self.target.shows(number, &code)).await.unwrap()
    }

    async fn stand(&self, world: &World) -> Stand {
        leaving::of_server(&world.plane, &self.anna, self.server).await.unwrap()[0].stand
    }

    async fn held(&self, world: &World, number: u128, token: &str) -> Round {
        ask(world, number, token, 0, None, false).await.unwrap();
        ask(world, number, token, 1, Some(0), true).await.unwrap()
    }

    fn hand(&self, round: u32) -> HandoverRequest {
        HandoverRequest { round, payload: payload(), successor: self.target.successor() }
    }

    async fn hands_over(&self, world: &World, number: u128, token: &str, round: u32) -> Result<Handed, Refusal> {
        leaving::handover(&world.plane, id(number), token, &self.hand(round)).await
    }

    /// Up to the hand-over.
    async fn moves(&self, world: &World, number: u128) -> (Agreed, Handed) {
        let agreed = self.agreed(world, number).await;
        self.held(world, number, &agreed.token).await;
        let handed = self.hands_over(world, number, &agreed.token, 1).await.unwrap();
        (agreed, handed)
    }
}

fn id(number: u128) -> uuid::Uuid {
    crate::support::move_id(number)
}

fn payload() -> Digest {
    Digest::of(&archive_of(BYTES))
}

async fn ask(
    world: &World,
    number: u128,
    token: &str,
    round: u32,
    base: Option<u32>,
    hold: bool,
) -> Result<Round, Refusal> {
    leaving::begin(&world.plane, id(number), token, RoundRequest { round, base, hold }).await
}

fn word<T: std::fmt::Debug>(answer: Result<T, Refusal>) -> Option<Word> {
    answer.unwrap_err().word()
}

/// Whether the gateway sends visitors on.
fn leads_on(world: &World) -> bool {
    let found = world.plane.routes().find("notes.anna.localhost");
    matches!(found, Found::Server(route) if matches!(route.admission, Admission::Moved(_)))
}

#[tokio::test]
async fn a_server_leaves_with_everything_and_its_address_leads_on() {
    on_each_database(async |world: &mut World| {
        let story = Story::begin(world).await;
        let asking = leaving::ask(&world.plane, &story.anna, &story.target.asks(1)).await.unwrap();
        assert_eq!((asking.target.name.as_str(), asking.other), ("Neuhaus", None));

        let agreed = story.agreed(world, 1).await;
        let (token, server) = (agreed.token.as_str(), &agreed.server);
        assert_eq!((server.party.did.clone(), server.epoch), (own_key().public().did(), 1));
        assert_eq!((server.party.address.as_str(), server.documents), ("http://anna.localhost:8080", 7));
        assert_eq!(agreed.url, format!("http://localhost:8080/move/v1/moves/{}", id(1)));

        let first = ask(world, 1, token, 0, None, false).await.unwrap();
        assert_eq!((first.state, first.bytes, first.payload), (RoundState::Ready, Some(BYTES), Some(payload())));
        let again = leaving::round(&world.plane, id(1), token, 0, 10_000).await.unwrap();
        assert_eq!(again, first);
        let mut part = HeaderMap::new();
        part.insert("range", "bytes=100-4999".parse().unwrap());
        let body: Response<Body> = leaving::archive(&world.plane, id(1), token, 0, &part).await.unwrap();
        assert_eq!(body.into_body().collect().await.unwrap().to_bytes(), archive_of(BYTES)[100..]);

        world.host.wrote();
        let last = ask(world, 1, token, 1, Some(0), true).await.unwrap();
        assert_eq!((last.base, last.seq, last.held_until.is_some()), (Some(0), Some(1), true));
        let told = world.host.asked_exports();
        let told = told.iter().filter(|asked| asked.base.is_some()).collect::<Vec<_>>();
        assert_eq!(told[0].base.as_deref(), Some(format!("{}-0", id(1).simple()).as_str()));
        assert_eq!(told[0].hold_ms, Some(15_000));
        assert!(told[0].history.is_some(), "what is known here goes along");

        let handed = story.hands_over(world, 1, token, 1).await.unwrap();
        let document = Handover::open(&handed.handover).unwrap();
        assert_eq!((document.id, document.payload, handed.guests.len()), (id(1), payload(), 1));
        assert_eq!(document.server.provider, "http://localhost:8080");
        assert!(leads_on(world), "at once");
        assert_eq!(story.hands_over(world, 1, token, 1).await.unwrap(), handed, "the second time is the first");
        let stands = leaving::stands(&world.plane, id(1), token).await.unwrap();
        assert_eq!((stands.state, stands.handover.as_ref()), (MoveState::Handed, Some(&handed.handover)));
        assert_eq!(word(leaving::cancel(&world.plane, id(1), token).await), Some(Word::Handed));
        assert_eq!(word(ask(world, 1, token, 2, Some(1), false).await), Some(Word::Handed));

        let accepted = story.target.accepts(1, &handed.handover);
        for _ in 0..2 {
            let stands = leaving::settled(&world.plane, id(1), token, &accepted).await.unwrap();
            assert_eq!(stands.state, MoveState::Settled);
        }
        let bill = subscriptions::bill(&world.plane, &story.anna, story.anna.account().unwrap()).await.unwrap();
        assert_eq!(bill.closing, Some(bill.if_closed), "it ends with the month that is paid for");
        assert_eq!((bill.next, bill.invoices.len()), (None, 1), "and nothing more is charged");
        eventually("nothing of it is kept", async || world.host.kept_exports() == 0).await;

        let letters = mail::outbox(&world.plane, &story.operator, &Ask::default()).await.unwrap().items;
        let letters: Vec<_> = letters.iter().filter(|letter| letter.subject == "Your server has moved").collect();
        assert_eq!(letters.len(), 1);
        assert!(letters[0].text.contains("http://anna.neuhaus.localhost:9090"), "{}", letters[0].text);
        let events = audit::events(&world.plane, &story.anna, story.server, &Ask::default()).await.unwrap().items;
        let moves = events.iter().filter(|event| event.what == audit::What::Move).count();
        assert_eq!(moves, 4, "allowed, begun, moved, live: {events:?}");

        world.crash_and_start().await;
        assert!(leads_on(world), "from the row alone");
    })
    .await;
}

#[tokio::test]
async fn a_code_is_good_once_for_whoever_began_and_a_token_for_its_move() {
    on_each_database(async |world: &mut World| {
        let story = Story::begin(world).await;
        let tokens = async |asked| leaving::tokens(&world.plane, &asked).await;
        let code = story.code(world, 1).await;
        let mut other = story.target.shows(1, &code);
        other.version = 2;
        assert_eq!(word(tokens(other).await), Some(Word::Version));
        assert_eq!(word(tokens(story.target.shows(1, "guessed")).await), Some(Word::Token));
        assert_eq!(word(tokens(story.target.shows(2, &code)).await), Some(Word::Token));
        let mut stolen = story.target.shows(1, &code);
        stolen.verifier = "made up by somebody else".into();
        assert_eq!(word(tokens(stolen).await), Some(Word::Token));
        assert_eq!(word(tokens(story.target.shows(1, &code)).await), Some(Word::Token), "it is spent all the same");

        let code = story.code(world, 1).await;
        let newer = story.code(world, 1).await;
        assert_eq!(word(tokens(story.target.shows(1, &code)).await), Some(Word::Token), "a second yes has another");
        world.clock.forward_minutes(11);
        assert_eq!(word(tokens(story.target.shows(1, &newer)).await), Some(Word::Token), "too late");

        let code = story.code(world, 1).await;
        let agreed = tokens(story.target.shows(1, &code)).await.unwrap();
        assert_eq!(word(tokens(story.target.shows(1, &code)).await), Some(Word::Token), "once");
        assert_eq!(world.rows_with("move_out", "token_digest", &agreed.token).await, 0, "it is not kept");
        assert_eq!(word(leaving::stands(&world.plane, id(1), "another").await), Some(Word::Token));
        assert_eq!(word(leaving::stands(&world.plane, id(2), &agreed.token).await), Some(Word::Token));
        let used = leaving::consent(&world.plane, &story.anna, &story.target.asks(1)).await.unwrap_err();
        assert_eq!(used.kind(), Kind::Conflict);

        world.clock.forward_days(8);
        assert_eq!(word(leaving::stands(&world.plane, id(1), &agreed.token).await), Some(Word::Token));
        world.restart().await;
        eventually("nobody waits for it", async || story.stand(world).await == Stand::Cancelled).await;
    })
    .await;
}

#[tokio::test]
async fn rounds_are_asked_for_by_number_and_nothing_hands_over_but_the_newest_that_held() {
    on_each_database(async |world: &mut World| {
        let story = Story::begin(world).await;
        let agreed = story.agreed(world, 1).await;
        let token = agreed.token.as_str();
        assert_eq!(word(ask(world, 1, token, 1, None, false).await), Some(Word::Conflict), "it begins with 0");
        ask(world, 1, token, 0, None, false).await.unwrap();
        assert_eq!(word(ask(world, 1, token, 0, None, true).await), Some(Word::Conflict), "another hold");
        assert_eq!(word(ask(world, 1, token, 2, Some(0), false).await), Some(Word::Conflict), "one is left out");
        ask(world, 1, token, 1, Some(0), false).await.unwrap();
        ask(world, 1, token, 2, Some(0), false).await.unwrap();
        ask(world, 1, token, 3, Some(2), false).await.unwrap();
        eventually("the base and the newest are kept", async || world.host.kept_exports() == 2).await;
        assert_eq!(word(ask(world, 1, token, 4, Some(1), false).await), Some(Word::Conflict), "that is gone");
        let gone = leaving::round(&world.plane, id(1), token, 0, 0).await;
        assert_eq!(word(gone), Some(Word::NotFound));

        assert_eq!(word(story.hands_over(world, 1, token, 3).await), Some(Word::Conflict), "it did not hold");
        ask(world, 1, token, 4, Some(3), true).await.unwrap();
        let mut other = story.hand(4);
        other.payload = Digest::of(b"something else");
        assert_eq!(word(leaving::handover(&world.plane, id(1), token, &other).await), Some(Word::Differs));
        let mut other = story.hand(4);
        other.successor.address = "http://evil.localhost".into();
        assert_eq!(word(leaving::handover(&world.plane, id(1), token, &other).await), Some(Word::Conflict));
        world.host.wrote();
        assert_eq!(word(story.hands_over(world, 1, token, 4).await), Some(Word::Behind));
        assert!(!world.host.has_departed(story.server) && !leads_on(world), "the server lives here");
        ask(world, 1, token, 5, Some(4), true).await.unwrap();
        let handed = story.hands_over(world, 1, token, 5).await.unwrap();
        let mut other = story.hand(5);
        other.successor.did = "did:key:zSomebodyElse".into();
        assert_eq!(word(leaving::handover(&world.plane, id(1), token, &other).await), Some(Word::Conflict));

        let forged = story.target.accepts(2, &handed.handover);
        assert_eq!(word(leaving::settled(&world.plane, id(1), token, &forged).await), Some(Word::Conflict));
        assert_eq!(word(leaving::settled(&world.plane, id(1), token, &handed.handover).await), Some(Word::Malformed));
        assert_eq!(story.stand(world).await, Stand::Handed);
    })
    .await;
}

#[tokio::test]
async fn what_was_done_while_nobody_heard_of_it_is_found_by_the_next_call() {
    on_each_database(async |world: &mut World| {
        let story = Story::begin(world).await;
        let agreed = story.agreed(world, 1).await;
        story.held(world, 1, &agreed.token).await;
        world.host.loses_departures(true);
        assert_eq!(word(story.hands_over(world, 1, &agreed.token, 1).await), Some(Word::Busy));
        assert!(world.host.has_departed(story.server) && !leads_on(world), "it has gone, and we do not know");
        let stopped = leaving::stop(&world.plane, &story.anna, story.server).await.unwrap_err();
        assert_eq!(stopped.kind(), Kind::Retry, "nobody gives up what may have happened");
        world.host.loses_departures(false);
        let stopped = leaving::stop(&world.plane, &story.anna, story.server).await.unwrap_err();
        assert_eq!(stopped.kind(), Kind::Conflict, "it is too late");
        assert!(leads_on(world));
        story.hands_over(world, 1, &agreed.token, 1).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn who_comes_after_weeks_still_gets_the_word_but_nothing_of_the_content_and_nobody_stands_down_so_late() {
    on_each_database(async |world: &mut World| {
        let story = Story::begin(world).await;
        let agreed = story.agreed(world, 1).await;
        story.held(world, 1, &agreed.token).await;
        world.host.loses_departures(true);
        assert_eq!(word(story.hands_over(world, 1, &agreed.token, 1).await), Some(Word::Busy));
        world.host.loses_departures(false);
        world.clock.forward_days(20);
        world.restart().await;
        let handed = story.hands_over(world, 1, &agreed.token, 1).await.unwrap();
        assert_eq!(leaving::stands(&world.plane, id(1), &agreed.token).await.unwrap().handover, Some(handed.handover));
        assert_eq!(word(story.hands_over(world, 1, "another", 1).await), Some(Word::Token));
        let archive = leaving::archive(&world.plane, id(1), &agreed.token, 1, &HeaderMap::new()).await;
        assert_eq!(word(archive), Some(Word::Token), "only the word");
        world.clock.forward_days(90);
        assert_eq!(word(story.hands_over(world, 1, &agreed.token, 1).await), Some(Word::Token), "not for ever");
    })
    .await;
    on_each_database(async |world: &mut World| {
        let story = Story::begin(world).await;
        let agreed = story.agreed(world, 1).await;
        story.held(world, 1, &agreed.token).await;
        world.clock.forward_days(8);
        assert_eq!(word(story.hands_over(world, 1, &agreed.token, 1).await), Some(Word::Token));
        assert!(!world.host.has_departed(story.server), "what was allowed for a week is over after it");
    })
    .await;
}

#[tokio::test]
async fn what_was_done_while_nobody_heard_of_it_is_found_at_the_next_start() {
    on_each_database(async |world: &mut World| {
        let story = Story::begin(world).await;
        let agreed = story.agreed(world, 1).await;
        story.held(world, 1, &agreed.token).await;
        world.host.loses_departures(true);
        assert_eq!(word(story.hands_over(world, 1, &agreed.token, 1).await), Some(Word::Busy));
        world.host.loses_departures(false);
        world.restart().await;
        eventually("the gateway knows", async || leads_on(world)).await;
        let stands = leaving::stands(&world.plane, id(1), &agreed.token).await.unwrap();
        assert_eq!(stands.state, MoveState::Handed);
    })
    .await;
}

#[tokio::test]
async fn until_the_hand_over_either_of_them_can_give_up_and_a_new_yes_does() {
    on_each_database(async |world: &mut World| {
        let story = Story::begin(world).await;
        let agreed = story.agreed(world, 1).await;
        story.held(world, 1, &agreed.token).await;
        for _ in 0..2 {
            let stands = leaving::cancel(&world.plane, id(1), &agreed.token).await.unwrap();
            assert_eq!(stands.state, MoveState::Cancelled);
        }
        assert_eq!(world.host.let_go(), 1, "writes go on at once");
        eventually("nothing of it is kept", async || world.host.kept_exports() == 0).await;
        assert_eq!(word(ask(world, 1, &agreed.token, 2, Some(1), false).await), Some(Word::Cancelled));
        assert_eq!(word(story.hands_over(world, 1, &agreed.token, 1).await), Some(Word::Cancelled));

        let second = story.agreed(world, 2).await;
        let asking = leaving::ask(&world.plane, &story.anna, &story.target.asks(3)).await.unwrap();
        assert_eq!(asking.other.unwrap().id, id(2), "she is told what her yes ends");
        let third = story.agreed(world, 3).await;
        assert_eq!(word(leaving::stands(&world.plane, id(2), "x").await), Some(Word::Token));
        let replaced = leaving::stands(&world.plane, id(2), &second.token).await.unwrap();
        assert_eq!(replaced.state, MoveState::Cancelled);

        leaving::stop(&world.plane, &story.anna, story.server).await.unwrap();
        leaving::stop(&world.plane, &story.anna, story.server).await.unwrap();
        assert_eq!(leaving::stands(&world.plane, id(3), &third.token).await.unwrap().state, MoveState::Cancelled);
        assert!(!leads_on(world));
    })
    .await;
}

#[tokio::test]
async fn its_owner_can_have_it_back_and_leave_once_more() {
    on_each_database(async |world: &mut World| {
        let story = Story::begin(world).await;
        let (agreed, handed) = story.moves(world, 1).await;
        let refused = leaving::erase_left(&world.plane, &story.anna, story.server).await.unwrap_err();
        assert_eq!(refused.kind(), Kind::Conflict, "it may be all there is");
        let refused = leaving::ask(&world.plane, &story.anna, &story.target.asks(2)).await.unwrap_err();
        assert_eq!(refused.kind(), Kind::Conflict, "it is not here");
        leaving::settled(&world.plane, id(1), &agreed.token, &story.target.accepts(1, &handed.handover)).await.unwrap();

        let line = control_plane::moves::fleet(&world.plane, &story.operator, &Ask::default()).await.unwrap().items.remove(0);
        assert_eq!((line.id, line.direction, line.standing), (id(1), Direction::Out, Standing::Done));
        assert_eq!((line.name.as_str(), line.bytes > 0), ("anna", true), "{line:?}");
        // Nobody there answers: only on her own risk.
        let asked = leaving::take_back(&world.plane, &story.anna, story.server, false).await.unwrap();
        assert!(matches!(asked, Back::Silent(_)) && world.host.has_departed(story.server), "{asked:?}");
        for _ in 0..2 {
            let asked = leaving::take_back(&world.plane, &story.anna, story.server, true).await.unwrap();
            assert_eq!(asked, Back::Here);
        }
        assert!(!world.host.has_departed(story.server));
        eventually("it is open here", async || {
            matches!(world.plane.routes().find("anna.localhost"), Found::Server(route) if route.admission == Admission::Open)
        })
        .await;
        let bill = subscriptions::bill(&world.plane, &story.anna, story.anna.account().unwrap()).await.unwrap();
        assert_eq!(bill.closing, None, "and its agreement goes on");
        assert_eq!(word(story.hands_over(world, 1, &agreed.token, 1).await), Some(Word::Cancelled));
        story.moves(world, 2).await;
        assert!(leads_on(world));
    })
    .await;
}

/// Who speaks for the target is whoever has the key that the hand-over names.
#[tokio::test]
async fn the_new_place_is_asked_before_a_server_is_taken_back_and_believed_by_its_key() {
    on_each_database(async |world: &mut World| {
        let story = Story::begin(world).await;
        let (agreed, handed) = story.moves(world, 1).await;
        let back = async |world: &World, at_own_risk| {
            leaving::take_back(&world.plane, &story.anna, story.server, at_own_risk).await
        };
        let says = |live, seed, on_another| *story.target.recalled.lock() = Recalled::Says { live, seed, on_another };
        for (live, seed, on_another) in [(true, 5, false), (false, 5, false), (true, 9, true), (false, 9, true)] {
            says(live, seed, on_another);
            let asked = back(world, false).await.unwrap();
            assert!(matches!(asked, Back::Silent(_)), "live {live}, key {seed}, another {on_another}: {asked:?}");
            assert!(world.host.has_departed(story.server) && story.stand(world).await == Stand::Handed);
        }

        // What is live there is not made live here, whatever its owner types; and that it is live is known from now on.
        says(true, 9, false);
        for at_own_risk in [false, true] {
            let refused = back(world, at_own_risk).await.unwrap_err();
            assert_eq!(refused.kind(), Kind::Conflict);
            assert!(refused.sentence().contains("move it back"), "{}", refused.sentence());
        }
        assert!(world.host.has_departed(story.server) && leads_on(world));
        assert_eq!(story.stand(world).await, Stand::Settled);
        let accepted = story.target.accepts(1, &handed.handover);
        leaving::settled(&world.plane, id(1), &agreed.token, &accepted).await.unwrap();

        // A program that is ended between the server's coming back and the row goes on there.
        let departed = world.host.comes_back(story.server).unwrap();
        *story.target.recalled.lock() = Recalled::Silent;
        assert_eq!(back(world, false).await.unwrap(), Back::Here);
        assert_eq!(story.stand(world).await, Stand::TakenBack);
        eventually("it is open here", async || !leads_on(world)).await;
        drop(departed);
        let (agreed, _) = story.moves(world, 2).await;

        // And what never will be there is here again at once.
        says(false, 9, false);
        assert_eq!(back(world, false).await.unwrap(), Back::Here);
        assert!(!world.host.has_departed(story.server));
        eventually("it is open here", async || !leads_on(world)).await;
        assert_eq!(word(story.hands_over(world, 2, &agreed.token, 1).await), Some(Word::Cancelled));
        let events = audit::events(&world.plane, &story.anna, story.server, &Ask::default()).await.unwrap().items;
        assert!(events.iter().any(|event| event.text.contains("has signed that it never went live")), "{events:?}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_comes_back_by_a_move_lives_here_again() {
    on_each_database(async |world: &mut World| {
        let story = Story::begin(world).await;
        let (agreed, handed) = story.moves(world, 1).await;
        leaving::settled(&world.plane, id(1), &agreed.token, &story.target.accepts(1, &handed.handover)).await.unwrap();
        assert!(leads_on(world));

        let source = Source::start(b"what Anna has there").await;
        *world.host.follower().signed_by.lock() = source.fingerprint();
        let url = arriving::begin(&world.plane, &story.anna, "here", story.server, &source.address()).await.unwrap();
        let code = source.consents(&url);
        let back = url.query_pairs().find(|(name, _)| name == "move").unwrap().1.parse().unwrap();
        assert!(leads_on(world), "until it is handed over");
        arriving::returned(&world.plane, &story.anna, "here", back, Answer::Code(code)).await.unwrap();
        eventually("it is here", async || {
            arriving::arrival(&world.plane, &story.anna, back).await.unwrap().state == State::Done
        })
        .await;
        assert_eq!(story.stand(world).await, Stand::TakenBack);
        assert!(!leads_on(world) && !world.host.has_departed(story.server));
        let bill = subscriptions::bill(&world.plane, &story.anna, story.anna.account().unwrap()).await.unwrap();
        assert_eq!(bill.closing, None, "and its agreement goes on");
        // And it can leave once more; nothing can come while it does.
        story.agreed(world, 2).await;
        let busy = arriving::begin(&world.plane, &story.anna, "here", story.server, &story.target.origin).await;
        assert!(busy.is_err());
    })
    .await;
}

#[tokio::test]
async fn an_address_leads_on_when_nothing_is_left_here_but_its_name() {
    on_each_database(async |world: &mut World| {
        let story = Story::begin(world).await;
        let (agreed, handed) = story.moves(world, 1).await;
        leaving::settled(&world.plane, id(1), &agreed.token, &story.target.accepts(1, &handed.handover)).await.unwrap();
        leaving::erase_left(&world.plane, &story.anna, story.server).await.unwrap();
        eventually("it is erased", async || {
            let server = servers::server(&world.plane, &story.anna, story.server).await.unwrap();
            server.seen.seen == servers::Seen::Erased
        })
        .await;
        assert!(leads_on(world));
        let back = leaving::take_back(&world.plane, &story.anna, story.server, true).await.unwrap_err();
        assert_eq!(back.kind(), Kind::Gone);
        world.crash_and_start().await;
        assert!(leads_on(world), "after a start as well");
        let free = servers::name_available(&world.plane, "anna").await.unwrap();
        assert!(!matches!(free, servers::Availability::Free(_)), "nobody else gets the name");
    })
    .await;
}

/// What the receipt says is so, it is signed once nothing is left, and a stranger checks it with what every machine has.
#[tokio::test]
async fn who_has_what_is_left_erased_gets_a_receipt_that_strangers_can_check() {
    on_each_database(async |world: &mut World| {
        let story = Story::begin(world).await;
        let (agreed, handed) = story.moves(world, 1).await;
        leaving::settled(&world.plane, id(1), &agreed.token, &story.target.accepts(1, &handed.handover)).await.unwrap();
        let receipt = async |world: &World| leaving::receipt(&world.plane, &story.anna, story.server).await.unwrap();
        let seen = async |world: &World| {
            servers::server(&world.plane, &story.anna, story.server).await.unwrap().seen.seen == servers::Seen::Erased
        };
        // As long as anything is left there is none, and the server is not noted as erased.
        world.host.leaves_over(3);
        leaving::erase_left(&world.plane, &story.anna, story.server).await.unwrap();
        eventually("it is deleted", async || !world.host.has_home(story.server)).await;
        eventually("it is said that something is left", async || {
            let server = servers::server(&world.plane, &story.anna, story.server).await.unwrap();
            server.trouble.is_some_and(|trouble| trouble.contains("3 objects"))
        })
        .await;
        assert!(receipt(world).await.is_none() && !seen(world).await);
        world.host.leaves_over(0);
        world.crash_and_start().await;
        eventually("it is erased", async || seen(world).await).await;
        let signed = receipt(world).await.expect("a receipt");
        let said = Deletion::open(&signed).unwrap();
        let document = Handover::open(&handed.handover).unwrap();
        assert_eq!((said.server, said.id, said.successor), (document.server, id(1), document.successor.address));
        assert_eq!((said.erased.objects, said.erased.bytes), (12, 3456), "as counted before the first was deleted");
        assert!(said.erased.asked <= said.erased.counted && said.erased.counted <= said.erased.done);
        let value = serde_json::from_str(&signed.document).unwrap();
        crate::schemas::validate("deletion", &value);

        // By mail as well, once, word for word.
        let letters = mail::outbox(&world.plane, &story.operator, &Ask::default()).await.unwrap().items;
        let subject = "What was left of your server here is erased";
        let letters: Vec<_> = letters.iter().filter(|letter| letter.subject == subject).collect();
        assert_eq!(letters.len(), 1);
        assert!(letters[0].text.contains(&signed.document) && letters[0].text.contains(signed.signature.trim_end()));

        // A stranger: the key from the provider's own address, and ssh-keygen.
        let about = control_plane::moves::provider(&world.plane).await.unwrap();
        let key = about.key.unwrap();
        assert!(verifies(&key, &signed.document, &signed.signature));
        assert!(!verifies(&key, &signed.document.replace("3456", "9999"), &signed.signature), "not another text");
        let other = own_key().public().to_string();
        assert!(!verifies(&other, &signed.document, &signed.signature), "not another key");
    })
    .await;
}

fn verifies(key: &str, document: &str, signature: &str) -> bool {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    std::fs::write(at("provider.txt"), format!("old.example {key}\n")).unwrap();
    std::fs::write(at("receipt.json"), document).unwrap();
    std::fs::write(at("receipt.json.sig"), signature).unwrap();
    let asked = std::process::Command::new("ssh-keygen")
        .args(["-Y", "verify", "-I", "old.example", "-n", "pcc-move@v1", "-f"])
        .arg(at("provider.txt"))
        .arg("-s")
        .arg(at("receipt.json.sig"))
        .stdin(std::fs::File::open(at("receipt.json")).unwrap())
        .output();
    asked.expect("ssh-keygen is there").status.success()
}

#[tokio::test]
async fn what_is_left_here_goes_by_itself_after_a_last_letter() {
    on_each_database(async |world: &mut World| {
        let story = Story::begin(world).await;
        let (agreed, handed) = story.moves(world, 1).await;
        leaving::settled(&world.plane, id(1), &agreed.token, &story.target.accepts(1, &handed.handover)).await.unwrap();
        let letters = async |world: &World, subject: &str| {
            let all = mail::outbox(&world.plane, &story.operator, &Ask::default()).await.unwrap().items;
            all.iter().filter(|letter| letter.subject == subject).count()
        };
        assert_eq!(letters(world, "Your server closes, and how to take that back").await, 0, "it has moved");
        world.clock.forward_days(55);
        world.restart().await;
        let last = "What is left of your server here is erased soon";
        eventually("the last letter is written", async || letters(world, last).await == 1).await;
        assert!(world.host.has_home(story.server));
        world.clock.forward_days(8);
        world.restart().await;
        eventually("it is erased", async || !world.host.has_home(story.server)).await;
        assert!(leads_on(world), "for its whole term");
    })
    .await;
}

#[tokio::test]
async fn whoever_has_not_paid_can_leave_as_well() {
    on_each_database(async |world: &mut World| {
        let story = Story::begin(world).await;
        world.clock.forward_days(75);
        world.restart().await;
        eventually("the server is closed for want of payment", async || {
            matches!(world.plane.routes().find("anna.localhost"), Found::Server(route) if route.admission == Admission::Suspended)
        })
        .await;
        story.moves(world, 1).await;
        assert!(leads_on(world));
    })
    .await;
}

#[tokio::test]
async fn what_cannot_be_moved_is_said_in_words() {
    on_each_database(async |world: &mut World| {
        let story = Story::begin(world).await;
        let (berta, _) = world.sign_up("berta").await;
        let asked = story.target.asks(1);
        let refused = leaving::ask(&world.plane, &berta, &asked).await.unwrap_err();
        assert_eq!(refused.kind(), Kind::Gone);
        assert!(refused.sentence().contains("http://anna.localhost:8080"), "{refused}");
        let newer = Target::speaking(2).await;
        let refused = leaving::ask(&world.plane, &story.anna, &newer.asks(1)).await.unwrap_err();
        assert!(refused.sentence().contains("does not speak a version"), "{refused}");
        let away = leaving::Asked { target: "http://127.0.0.1:1".into(), ..asked.clone() };
        let refused = leaving::consent(&world.plane, &story.anna, &away).await.unwrap_err();
        assert_eq!(refused.kind(), Kind::Retry);
        for bad in [
            leaving::Asked { id: "one".into(), ..asked.clone() },
            leaving::Asked { challenge: "short".into(), ..asked.clone() },
            leaving::Asked { successor: "javascript:alert(1)".into(), ..asked.clone() },
            leaving::Asked { successor: "http://a.localhost/path".into(), ..asked.clone() },
            leaving::Asked { target: "ftp://127.0.0.1".into(), ..asked.clone() },
        ] {
            let refused = leaving::consent(&world.plane, &story.anna, &bad).await.unwrap_err();
            assert_eq!(refused.kind(), Kind::Fix, "{bad:?}");
        }
        let no = leaving::refuse(&world.plane, &story.anna, &asked).await.unwrap();
        assert_eq!(no, format!("{}/back?move={}&refused=1", story.target.origin, id(1)));
        assert_eq!(world.count("move_out").await, 0);
    })
    .await;
}
