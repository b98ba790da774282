//! Following a live server: rounds put into the stage, and going live by a hand-over.

use export_format::delta;
use export_format::moving::{Acceptance, Guest, Handover, Party, RecallAnswer, Renunciation, Signed};
use export_format::plan::Piece;
use export_format::reader::{Limits, Reader};
use export_format::signature::{Signer, Trust};
use export_format::{AppId, Digest};
use tenant_runtime::admin::api::{ActivateRequest, Activated, RenounceRequest};
use tenant_runtime::archive::identity;

use super::following_torn::halfway;
use super::*;

/// The delta that leads from one archive to another.
pub(super) fn between(base: &[u8], new: &[u8]) -> Vec<u8> {
    let limits = Limits::default();
    let base = Reader::open(base, &limits).unwrap();
    let whole = Reader::open(new, &limits).unwrap().verify(&Trust::Anyone, &mut |_| {}).unwrap();
    let plan = delta::between(&base, &whole, &Signer::random()).unwrap();
    let mut bytes = Vec::new();
    for piece in plan.range(0..plan.len()) {
        match piece {
            Piece::Inline(inline) => bytes.extend_from_slice(&inline),
            Piece::Stored { source, range, .. } => {
                bytes.extend_from_slice(&new[(source + range.start) as usize..(source + range.end) as usize]);
            }
        }
    }
    bytes
}

pub(super) fn payload_of(archive: &[u8]) -> String {
    Digest::of(payload_manifest(archive).as_bytes()).to_string()
}

impl Server {
    /// Everything up to where it follows.
    pub(super) async fn follow(&self, id: &str, archive: &[u8]) -> ImportView {
        self.imports.begin_following(id, archive.len() as u64, NOW).await.unwrap();
        let checked = self.offer_on(id, archive).await;
        assert_eq!(checked.state, ImportState::Checked, "{:?}", checked.error);
        self.imports.confirm(id).await.unwrap();
        let view = self.settled(id).await;
        assert_eq!((view.state, view.round), (ImportState::Following, Some(0)), "{:?}", view.error);
        assert_eq!(view.payload.as_deref(), Some(payload_of(archive).as_str()));
        view
    }

    async fn offer_on(&self, id: &str, archive: &[u8]) -> ImportView {
        let parts = [Ok::<_, String>(Bytes::copy_from_slice(archive))];
        self.imports.upload(id, 0, stream::iter(parts)).await.unwrap();
        self.imports.check(id).await.unwrap();
        self.settled(id).await
    }

    /// Announces and uploads a round, and has it put in.
    pub(super) async fn round(&self, id: &str, round: u32, delta: &[u8]) -> ImportView {
        self.imports.announce(id, round, delta.len() as u64).await.unwrap();
        let at = self.imports.round_offset(id, round).unwrap();
        let parts = delta[at as usize..].chunks(50_000).map(|part| Ok::<_, String>(Bytes::copy_from_slice(part)));
        self.imports.upload_round(id, round, at, stream::iter(parts.collect::<Vec<_>>())).await.unwrap();
        self.imports.apply(id, round).await.unwrap();
        self.settled(id).await
    }

    pub(super) async fn identity(&self) -> identity::Identity {
        identity::of(&self.home).await.unwrap()
    }

    async fn party(&self) -> Party {
        let did = self.identity().await.did();
        Party { did, address: self.launch.site.origin(), provider: "https://new.example".into() }
    }

    /// The hand-over of this server to another.
    pub(super) async fn hand_over(&self, to: &Server, payload: &str, epoch: u64) -> Signed {
        let handover = Handover {
            kind: Handover::KIND.into(),
            id: uuid::Uuid::from_u128(7),
            server: self.party().await,
            successor: to.party().await,
            epoch,
            payload: payload.parse().unwrap(),
            seq: 1,
            at: "2026-11-30T09:14:51Z".parse().unwrap(),
            forward_until: "2027-02-28T09:14:51Z".parse().unwrap(),
        };
        handover.sign(&self.identity().await.signer()).unwrap()
    }

    pub(super) async fn activate(&self, id: &str, handover: Signed, guests: Vec<Guest>) -> Result<Activated, Error> {
        let own = self.party().await;
        self.imports.activate(id, ActivateRequest { handover, guests, own }, NOW).await
    }

    pub(super) async fn renounce(&self, handover: &Signed) -> Result<RecallAnswer, Error> {
        let own = self.party().await;
        self.imports.renounce(RenounceRequest { handover: handover.clone(), own }, NOW).await
    }

    /// An archive of the server as it is now.
    pub(super) async fn archived(&self, id: &str) -> Vec<u8> {
        self.export(id).await;
        self.fetch(id).await
    }
}

/// A server that is to leave, and one that waits for it.
pub(super) async fn two(root: &Path) -> (Server, Server) {
    let source = furnished(&root.join("old"), "old.localhost").await;
    let target = Server::wake(&root.join("new"), launch("bea", "new.localhost", 1 << 30)).await;
    (source, target)
}

fn guest(token: &str, app: &str) -> Guest {
    Guest {
        token: Digest::of(token.as_bytes()),
        app: app.parse::<AppId>().unwrap(),
        device: "Firefox on Linux".into(),
        expires: "2027-01-14T08:00:00Z".parse().unwrap(),
    }
}

/// Edits of every kind.
pub(super) async fn live_on(server: &Server, turn: usize) {
    let rows = vec![row(&format!("n-{turn:05}x"), r#"{"n":"new"}"#), row("n-00007", &format!(r#"{{"turn":{turn}}}"#))];
    server.put_rows("org.example.notes", "notes", rows).await;
    server.put_rows("org.example.notes", &format!("later-{turn}"), vec![row("a", "{}")]).await;
    server.put_file("org.example.notes", &format!("Photos/{turn}.jpg"), vec![turn as u8; 9_000]).await;
    server.put_file("org.example.notes", "empty", vec![turn as u8; 3]).await;
    let write = move |db: &rusqlite::Connection| {
        let notes = "org.example.notes".parse().unwrap();
        documents::remove(db, &documents::TableName::new(&notes, "notes").unwrap(), &format!("n-{:05}", 100 + turn))?;
        if turn > 1 {
            documents::drop_collection(
                db,
                &documents::TableName::new(&notes, &format!("later-{}", turn - 1)).unwrap(),
            )?;
            files::remove(db, &notes, &format!("Photos/{}.jpg", turn - 1).parse().unwrap())?;
        }
        settings::put(db, "language", &format!("de-{turn}"))?;
        Ok::<_, Error>(())
    };
    server.home.write(write).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_is_followed_round_by_round_and_goes_live_by_its_hand_over() {
    let root = tempfile::tempdir().unwrap();
    let (source, target) = two(root.path()).await;
    target.put_rows("org.example.own", "", vec![row("before", "{}")]).await;
    let mut base = source.archived("m-0").await;
    target.follow("op", &base).await;
    for turn in 1..4 {
        live_on(&source, turn).await;
        let new = source.archived(&format!("m-{turn}")).await;
        let delta = between(&base, &new);
        assert!(delta.len() < new.len());
        let view = target.round("op", turn as u32, &delta).await;
        assert_eq!((view.state, view.round), (ImportState::Following, Some(turn as u32)), "{:?}", view.error);
        assert_eq!(view.payload, Some(payload_of(&new)));
        // Twice is once.
        assert_eq!(target.imports.apply("op", turn as u32).await.unwrap().state, ImportState::Following);
        base = new;
    }
    assert_eq!(
        target.number("select count(*) from collection where app = 'org.example.own'").await,
        1,
        "nothing is live"
    );
    assert_eq!(target.swaps.load(Ordering::SeqCst), 0);

    let word = source.hand_over(&target, &payload_of(&base), 2).await;
    let done =
        target.activate("op", word.clone(), vec![guest("t", "org.example.notes"), guest("u", "a.b.c")]).await.unwrap();
    let acceptance = Acceptance::open(&done.acceptance).unwrap();
    assert_eq!((acceptance.handover, acceptance.server.did), (word.digest(), target.identity().await.did()));
    assert_eq!(target.activate("op", word.clone(), Vec::new()).await.unwrap(), done, "asking again");
    assert_eq!(target.imports.view("op").await.unwrap().state, ImportState::Done);
    assert_eq!(target.swaps.load(Ordering::SeqCst), 1);
    assert_eq!(payload_manifest(&target.archived("on").await), payload_manifest(&base));
    assert_eq!(
        target.number("select cast(cast(value as text) as integer) from secret where name = 'move.epoch'").await,
        2
    );
    assert_eq!(target.number("select count(*) from session where app = 'org.example.notes'").await, 1);
    assert_eq!(target.number("select count(*) from session").await, 1, "only for apps that are installed");

    // After a restart as well; and another hand-over is none.
    let target = target.killed().await;
    assert_eq!(target.activate("op", word, Vec::new()).await.unwrap(), done);
    let other = source.hand_over(&target, &payload_of(&base), 3).await;
    assert!(matches!(target.activate("op", other, Vec::new()).await, Err(Error::State(_))));
    assert!(!target.work("op").join("rounds").exists() && !target.work("op").join("archive.pcc.zip").exists());
    // What was replaced can be brought back, and the number of its life stays.
    target.imports.undo("op").await.unwrap();
    assert_eq!(target.settled("op").await.state, ImportState::Undone);
    assert_eq!(target.number("select count(*) from collection where app = 'org.example.own'").await, 1);
    assert_eq!(
        target.number("select cast(cast(value as text) as integer) from secret where name = 'move.epoch'").await,
        2
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_comes_back_to_where_it_left_from() {
    let root = tempfile::tempdir().unwrap();
    let (old, new) = two(root.path()).await;
    let base = old.archived("m").await;
    new.follow("there", &base).await;
    let word = old.hand_over(&new, &payload_of(&base), 2).await;
    let words = serde_json::to_string(&word).unwrap();
    let seq = old.home.seq().await.unwrap();
    old.home.depart(seq, words).await.unwrap();
    new.activate("there", word, Vec::new()).await.unwrap();
    live_on(&new, 1).await;

    let back = new.archived("back").await;
    old.follow("here", &back).await;
    assert!(old.home.departed().is_some(), "it is gone until it is handed over");
    let early = new.hand_over(&old, &payload_of(&back), 2).await;
    assert!(matches!(old.activate("here", early, Vec::new()).await, Err(Error::State(_))), "not by an earlier life");
    let word = new.hand_over(&old, &payload_of(&back), 3).await;
    let done = old.activate("here", word.clone(), Vec::new()).await.unwrap();
    assert!(old.home.departed().is_none());
    let old = old.killed().await;
    assert_eq!(old.activate("here", word, Vec::new()).await.unwrap(), done, "asking again");
    assert!(old.home.departed().is_none());
    live_on(&old, 2).await;
}

/// Every order in which a server is asked to go live by a hand-over and to give it up, with a kill after any of them, and both at
/// once: one of the two happens, whoever asks again is told the same, and the other never happens.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_goes_live_by_a_hand_over_or_gives_it_up_and_never_both() {
    let orders = ["ar", "ra", "a!r", "r!a", "r!a!a", "a!r!r", "rr!a", "both", "both", "both"];
    for order in orders {
        let root = tempfile::tempdir().unwrap();
        let (source, mut target) = two(root.path()).await;
        let archive = source.archived("m-0").await;
        target.follow("op", &archive).await;
        let word = source.hand_over(&target, &payload_of(&archive), 2).await;
        let handover = Handover::open(&word).unwrap();
        let mut answers = Vec::new();
        let mut activated = Vec::new();
        if order == "both" {
            let (live, gave_up) = tokio::join!(target.activate("op", word.clone(), Vec::new()), target.renounce(&word));
            activated.push(live);
            answers.push(gave_up.unwrap());
        } else {
            for turn in order.chars() {
                match turn {
                    'a' => activated.push(target.activate("op", word.clone(), Vec::new()).await),
                    'r' => answers.push(target.renounce(&word).await.unwrap()),
                    _ => target = target.killed().await,
                }
            }
        }
        let is_live = target.number("select count(*) from app").await > 0;
        for answer in &answers {
            assert!(answer.is_on(&word, &handover), "{order}: {answer:?}");
            assert_eq!(matches!(answer, RecallAnswer::Active { .. }), is_live, "{order}: {answer:?}");
        }
        for went in activated {
            assert_eq!(went.is_ok(), is_live, "{order}: {went:?}");
            assert!(is_live || matches!(went, Err(Error::Renounced)), "{order}");
        }
        // The second time is the first, whatever is killed.
        let target = target.killed().await;
        assert_eq!(target.renounce(&word).await.unwrap(), answers[0], "{order}");
        assert_eq!(target.activate("op", word.clone(), Vec::new()).await.is_ok(), is_live, "{order}");
        if !is_live {
            // Another import by the same word has no other fate, and a later hand-over is another.
            target.imports.remove("op").await.unwrap();
            target.follow("again", &archive).await;
            assert!(matches!(target.activate("again", word, Vec::new()).await, Err(Error::Renounced)));
            let later = source.hand_over(&target, &payload_of(&archive), 3).await;
            target.activate("again", later, Vec::new()).await.unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_gives_up_what_is_not_theirs_or_was_in_a_life_before() {
    let root = tempfile::tempdir().unwrap();
    let (source, target) = two(root.path()).await;
    let archive = source.archived("m-0").await;
    target.follow("op", &archive).await;
    let payload = payload_of(&archive);
    let word = source.hand_over(&target, &payload, 2).await;
    let stranger = Server::wake(&root.path().join("else"), launch("eve", "else.localhost", 1 << 30)).await;
    assert!(matches!(stranger.renounce(&word).await, Err(Error::Refused(_))), "it is handed to another");
    let mut changed = word.clone();
    changed.document = changed.document.replace("\"epoch\":2", "\"epoch\":9");
    assert!(matches!(target.renounce(&changed).await, Err(Error::Refused(_))));
    let early = source.hand_over(&target, &payload, 1).await;
    assert!(matches!(target.renounce(&early).await, Err(Error::State(_))), "nobody knows what was in that life");
    target.activate("op", word.clone(), Vec::new()).await.unwrap();

    // It is asked for by the server that stood down, under its own key.
    let seq = source.home.seq().await.unwrap();
    assert!(tenant_runtime::moves::recall(&source.home, jiff::Timestamp::UNIX_EPOCH).await.is_err(), "it is here");
    source.home.depart(seq, serde_json::to_string(&word).unwrap()).await.unwrap();
    let recall = tenant_runtime::moves::recall(&source.home, jiff::Timestamp::UNIX_EPOCH).await.unwrap();
    let asked = export_format::moving::RecallRequest { handover: word.clone(), recall };
    assert_eq!(asked.open().unwrap(), Some(Handover::open(&word).unwrap()));
    assert!(Renunciation::open(&asked.recall).is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_goes_live_by_a_word_that_is_not_meant_for_them() {
    let root = tempfile::tempdir().unwrap();
    let (source, target) = two(root.path()).await;
    let archive = source.archived("m-0").await;
    target.follow("op", &archive).await;
    let stranger = Server::wake(&root.path().join("else"), launch("eve", "else.localhost", 1 << 30)).await;
    let payload = payload_of(&archive);
    let refusals = [
        ("signed by another", stranger.hand_over(&target, &payload, 2).await),
        ("to another", source.hand_over(&stranger, &payload, 2).await),
        ("of another payload", source.hand_over(&target, &payload_of(&sample()), 2).await),
        ("of an epoch that is past", source.hand_over(&target, &payload, 1).await),
    ];
    for (what, word) in refusals {
        let error = target.activate("op", word, Vec::new()).await.unwrap_err();
        assert!(matches!(error, Error::Refused(_) | Error::State(_)), "{what}: {error}");
    }
    let mut changed = source.hand_over(&target, &payload, 2).await;
    changed.document = changed.document.replace("\"epoch\":2", "\"epoch\":9");
    assert!(matches!(target.activate("op", changed, Vec::new()).await, Err(Error::Refused(_))));
    let word = source.hand_over(&target, &payload, 2).await;
    let own = Party { did: source.identity().await.did(), ..target.party().await };
    let request = ActivateRequest { handover: word.clone(), guests: Vec::new(), own };
    assert!(matches!(target.imports.activate("op", request, NOW).await, Err(Error::Refused(_))));
    let view = target.imports.view("op").await.unwrap();
    assert_eq!((view.state, view.round, view.payload), (ImportState::Following, Some(0), Some(payload)));
    assert_eq!(target.number("select count(*) from app").await, 0);
    // And still it may, by the right one.
    target.activate("op", word, Vec::new()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_round_that_cannot_be_taken_leaves_it_on_the_one_before() {
    let root = tempfile::tempdir().unwrap();
    let (source, target) = two(root.path()).await;
    let first = source.archived("m-0").await;
    live_on(&source, 1).await;
    let second = source.archived("m-1").await;
    live_on(&source, 2).await;
    let third = source.archived("m-2").await;
    target.follow("op", &first).await;
    let good = between(&first, &second);
    let resigned = {
        let whole = Reader::open(&second[..], &Limits::default()).unwrap().verify(&Trust::Anyone, &mut |_| {}).unwrap();
        let plan = export_format::writer::sign_anew(&whole, &Signer::random()).unwrap();
        let mut bytes = Vec::new();
        for piece in plan.range(0..plan.len()) {
            match piece {
                Piece::Inline(inline) => bytes.extend_from_slice(&inline),
                Piece::Stored { source, range, .. } => {
                    bytes.extend_from_slice(&second[(source + range.start) as usize..(source + range.end) as usize]);
                }
            }
        }
        bytes
    };
    let mut flipped = good.clone();
    let at = flipped.windows(4).position(|bytes| bytes == [1_u8; 4]).unwrap();
    flipped[at] = 2;
    let hostile: [(&str, Vec<u8>); 6] = [
        ("on another base", between(&second, &third)),
        ("with changed content", flipped),
        ("by another signer", between(&first, &resigned)),
        ("cut off", good[..good.len() - 100].to_vec()),
        ("an archive and no delta", second.clone()),
        ("nothing", vec![0; 10]),
    ];
    let mut number = 0;
    for (what, delta) in hostile {
        number += 1;
        let view = target.round("op", number, &delta).await;
        assert_eq!((view.state, view.round), (ImportState::Following, Some(0)), "{what}");
        assert!(view.error.is_some(), "{what}");
        assert_eq!(view.payload, Some(payload_of(&first)), "{what}");
        // Asked again, it says the same; nobody is told to send anything.
        for again in [
            target.imports.announce("op", number, delta.len() as u64).await.unwrap(),
            target.imports.apply("op", number).await.unwrap(),
        ] {
            assert_eq!((again.state, again.round, &again.error), (view.state, view.round, &view.error), "{what}");
            assert_eq!((again.received, again.bytes), (delta.len() as u64, delta.len() as u64), "{what}");
        }
        assert_eq!(view.received, view.bytes, "{what}");
    }
    // Longer than announced.
    number += 1;
    target.imports.announce("op", number, 100).await.unwrap();
    let parts = [Ok::<_, String>(Bytes::from(good.clone()))];
    assert!(matches!(target.imports.upload_round("op", number, 0, stream::iter(parts)).await, Err(Error::Refused(_))));
    assert!(matches!(target.imports.announce("op", number, 101).await, Err(Error::State(_))));
    assert!(matches!(target.imports.announce("op", number - 1, 100).await, Err(Error::State(_))));
    assert!(matches!(target.imports.apply("op", number).await, Err(Error::State(_))));
    // The next one, of a higher number, is taken all the same.
    let view = target.round("op", number + 3, &good).await;
    assert_eq!((view.round, view.error), (Some(number + 3), None));
    assert_eq!(view.payload, Some(payload_of(&second)));
    assert_eq!(target.round("op", number + 4, &between(&second, &third)).await.payload, Some(payload_of(&third)));
    // Thrown away, nothing is left.
    target.imports.remove("op").await.unwrap();
    assert!(matches!(target.imports.view("op").await, Err(Error::Missing(_))));
    assert!(target.home.stages().await.unwrap().is_empty());
    assert_eq!(target.number("select count(*) from app").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn it_goes_on_where_it_was_after_its_process_was_killed() {
    let root = tempfile::tempdir().unwrap();
    let (source, target) = two(root.path()).await;
    let first = source.archived("m-0").await;
    target.follow("op", &first).await;
    let target = target.killed().await;
    let view = target.imports.view("op").await.unwrap();
    assert_eq!((view.state, view.payload), (ImportState::Following, Some(payload_of(&first))));
    let mut base = first;
    let mut target = target;
    for turn in 1..5 {
        live_on(&source, turn).await;
        let new = source.archived(&format!("m-{turn}")).await;
        let delta = between(&base, &new);
        // Half of it arrives.
        target.imports.announce("op", turn as u32, delta.len() as u64).await.unwrap();
        let half = [Ok::<_, String>(Bytes::copy_from_slice(&delta[..delta.len() / 2]))];
        target.imports.upload_round("op", turn as u32, 0, stream::iter(half)).await.unwrap();
        target = target.killed().await;
        let view = target.imports.view("op").await.unwrap();
        assert_eq!((view.received, view.bytes), (delta.len() as u64 / 2, delta.len() as u64));
        let rest = [Ok::<_, String>(Bytes::copy_from_slice(&delta[delta.len() / 2..]))];
        target.imports.upload_round("op", turn as u32, view.received, stream::iter(rest)).await.unwrap();
        target.imports.apply("op", turn as u32).await.unwrap();
        // It is killed somewhere on the way.
        tokio::time::sleep(Duration::from_millis(40 * turn as u64)).await;
        target = target.killed().await;
        let view = target.settled("op").await;
        assert_eq!((view.state, view.round), (ImportState::Following, Some(turn as u32)), "{:?}", view.error);
        assert_eq!(view.payload, Some(payload_of(&new)));
        base = new;
    }
    let word = source.hand_over(&target, &payload_of(&base), 2).await;
    target.activate("op", word, Vec::new()).await.unwrap();
    assert_eq!(payload_manifest(&target.archived("on").await), payload_manifest(&base));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_handed_over_goes_live_though_its_host_has_lost_all_but_the_objects() {
    let root = tempfile::tempdir().unwrap();
    let (source, target) = two(root.path()).await;
    target.put_rows("org.example.own", "", vec![row("before", "{}")]).await;
    let before = payload_manifest(&target.archived("before").await);
    let first = source.archived("m-0").await;
    target.follow("op", &first).await;
    live_on(&source, 1).await;
    let second = source.archived("m-1").await;
    target.round("op", 1, &between(&first, &second)).await;

    let target = target.on_another_host().await;
    let missing = target.imports.view("op").await.unwrap_err();
    assert!(matches!(missing, Error::Missing(_)), "{missing:?}");
    let old = source.hand_over(&target, &payload_of(&first), 2).await;
    assert!(matches!(target.activate("op", old, Vec::new()).await, Err(Error::State(_))), "of another moment");
    let word = target.hand_over(&target, &payload_of(&second), 2).await;
    assert!(matches!(target.activate("op", word, Vec::new()).await, Err(Error::Refused(_))), "by another's word");
    let word = source.hand_over(&target, &payload_of(&second), 2).await;
    let other = target.activate("other", word.clone(), Vec::new()).await;
    assert!(matches!(other, Err(Error::Missing(_))), "{other:?}");

    let done = target.activate("op", word.clone(), Vec::new()).await.unwrap();
    assert_eq!(payload_manifest(&target.archived("on").await), payload_manifest(&second));
    let target = target.on_another_host().await;
    assert_eq!(target.activate("op", word, Vec::new()).await.unwrap(), done, "asking again");
    assert_eq!(target.imports.view("op").await.unwrap().state, ImportState::Done);
    assert_eq!(target.imports.undo("op").await.unwrap().state, ImportState::Undone);
    assert_eq!(payload_manifest(&target.archived("undone").await), before, "what was there");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stage_that_was_halfway_when_its_host_was_lost_goes_live_by_nothing() {
    let root = tempfile::tempdir().unwrap();
    let (source, target) = two(root.path()).await;
    let archive = source.archived("m-0").await;
    target.follow("op", &archive).await;
    halfway(&target).await;
    let target = target.on_another_host().await;
    let old = payload_manifest(&target.archived("old").await);
    let word = source.hand_over(&target, &payload_of(&archive), 2).await;
    let refused = target.activate("op", word, Vec::new()).await;
    assert!(matches!(refused, Err(Error::Missing(_))), "{refused:?}");
    assert_eq!(payload_manifest(&target.archived("still").await), old);
    target.imports.remove("op").await.unwrap();
    assert!(target.home.stages().await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_its_owner_changes_on_either_side_meanwhile_is_in_nobodys_way() {
    let root = tempfile::tempdir().unwrap();
    let (mut source, mut target) = two(root.path()).await;
    let mut base = source.archived("m-0").await;
    target.follow("op", &base).await;
    for turn in 1..4 {
        // A runtime is started anew to know of it.
        source.launch.owner.display_name = format!("Anna the {turn}.");
        source = source.killed().await;
        target.launch.owner.display_name = format!("Bea the {turn}.");
        target = target.killed().await;
        live_on(&source, turn).await;
        let new = source.archived(&format!("m-{turn}")).await;
        let view = target.round("op", turn as u32, &between(&base, &new)).await;
        assert_eq!((view.state, view.payload), (ImportState::Following, Some(payload_of(&new))), "{:?}", view.error);
        base = new;
    }
    target.launch.owner.display_name = "Bea at last".into();
    let target = target.killed().await;
    let word = source.hand_over(&target, &payload_of(&base), 2).await;
    target.activate("op", word, Vec::new()).await.unwrap();
    let (ours, theirs) = (payload_manifest(&target.archived("on").await), payload_manifest(&base));
    let differs: Vec<&str> = ours.lines().filter(|line| !theirs.contains(line)).collect();
    assert!(differs.iter().all(|line| line.ends_with(" data/account.json")), "all but whose it is: {differs:?}");
}
