//! What each step of a move to here does.
//!
//! Every step reads its row, asks the two sides, and turns the row. What was asked is asked again after a crash, and
//! means the same: rounds and parts have numbers. A round's number stands in the row before the source hears of it.
//!
//! Invariants: nothing touches the live server before [`Step::Activate`], and that step is reached only with a hand-over
//! that names this server, this move and the payload that was computed here. What the source announces is held against
//! what fits and against what it announced before; no stream is read beyond it.

use std::time::Duration;

use axum::body::Body;
use export_format::moving::{
    Handed, Handover, HandoverRequest, MoveState, MoveView, Party, RecallAnswer, Round as TheirRound, RoundRequest,
    RoundState,
};
use futures::StreamExt as _;
use tenant_runtime::admin::api::{ActivateRequest, ImportReport, ImportState, ImportView, SignatureView};
use tokio::time::Instant;

use super::super::peer::Refused;
use super::super::{Peer, leaving};
use super::drive::{progress, turn};
use super::recall;
use super::seal::{self, Part};
use super::stage::Stage;
use super::step::{State, Step};
use super::store::{Kept, Round};
use super::trouble::Trouble;
use super::words;
use crate::{Actor, ControlPlane, Error, Kind, Result, domains, servers, subscriptions};

/// How long the source is asked to wait until it has something to say.
const WAIT_MS: u64 = 10_000;
/// The shortest pause between two looks at a round that is being made, whatever the source says; while writes are held,
/// and otherwise.
const BREATH: [Duration; 2] = [Duration::from_millis(10), Duration::from_millis(250)];
/// How much is brought in one turn, and for how long, before other moves have theirs.
const STRETCH: u64 = 256 << 20;
const TURN: Duration = Duration::from_secs(30);
/// How often the page hears how far it is.
const TELL: Duration = Duration::from_millis(500);
/// A round is short if it took no longer, or brought no more.
const SHORT_MS: i64 = 1_000;
const LITTLE: u64 = 1 << 20;
/// After so many rounds writes are held though much still changes.
const MOST_ROUNDS: u32 = 8;
/// Whoever goes live later than this after the hand-over asks first whether it was taken back.
const LATE_MS: i64 = 60 * 1000;
/// So many holds may be too short.
const MOST_HOLDS: u32 = 20;

/// One step of one move.
pub(super) struct Work<'a> {
    plane: &'a ControlPlane,
    peer: &'a Peer,
    kept: &'a Kept,
    stage: Stage,
    token: String,
    /// The path of the move's own calls at the source.
    base: String,
    /// Who the server was when both agreed.
    theirs: Party,
}

type Done = Result<(), Trouble>;

impl<'a> Work<'a> {
    /// Gathers what a step needs.
    pub(super) async fn of(plane: &'a ControlPlane, peer: &'a Peer, kept: &'a Kept) -> Result<Self, Trouble> {
        let (Some(agreed), Some(token)) = (&kept.agreed, &kept.token) else {
            return Err(Trouble::Over("This move was never agreed on.".into()));
        };
        let over = |error: Error| Trouble::Over(error.sentence().to_owned());
        let token = seal::open(plane.keys(), kept.id, Part::Token, token).map_err(over)?;
        let base = peer.own(&agreed.url).map_err(over)?.path().trim_end_matches('/').to_owned();
        let stage = Stage::of(plane, kept).await.map_err(|error| match Trouble::ours(error) {
            Trouble::Lost(why) => Trouble::Over(why),
            other => other,
        })?;
        Ok(Self { plane, peer, kept, stage, token, base, theirs: agreed.server.party.clone() })
    }

    /// Does what the row's step wants.
    pub(super) async fn advance(&self) -> Done {
        match self.kept.step {
            Step::Consent => Err(Trouble::Over("This move was never agreed on.".into())),
            Step::FirstRound => self.first_round().await,
            Step::Staging => self.staging().await,
            Step::CatchUp | Step::Held => self.round().await,
            Step::HandOver => self.hand_over().await,
            Step::Activate => self.activate().await,
            Step::Settle => self.settle().await,
        }
    }

    /// A whole archive comes.
    async fn first_round(&self) -> Done {
        let Some((kept, bytes)) = self.ready().await? else { return Ok(()) };
        let offset = match self.stage.now().await.map_err(Trouble::ours)? {
            Some(view) => view.received,
            None => self.stage.begin(bytes).await.map_err(Trouble::ours)?.received,
        };
        if offset < bytes {
            let offset = self.fetch(&kept, offset, bytes).await?;
            if offset < bytes {
                return Ok(());
            }
        }
        let line = format!("All of it is here: {}. Every part is checked now.", words::size(bytes));
        let after = Kept {
            step: Step::Staging,
            received: bytes,
            arrived: kept.arrived + bytes,
            progress: (0, 0),
            speed: 0,
            error: None,
            stuck_ms: None,
            ..kept.clone()
        };
        Ok(turn(self.plane, &kept, after, &line).await?)
    }

    /// What came is checked, built beside the present server, and compared.
    async fn staging(&self) -> Done {
        let mut view = self.stage.look().await.map_err(Trouble::ours)?;
        if view.state == ImportState::Uploading {
            view = self.stage.check().await.map_err(Trouble::ours)?;
        }
        match view.state {
            ImportState::Checked => {
                let report = view.report.unwrap_or_default();
                self.acceptable(&report)?;
                let line = format!(
                    "Checked: {} records and {} files, every part has its fingerprint. It is built here now, beside your present server.",
                    words::count(report.counts.documents),
                    words::count(report.counts.files),
                );
                let after = Kept { report: Some(report), progress: (0, 0), ..self.kept.clone() };
                turn(self.plane, self.kept, after, &line).await?;
                self.stage.confirm().await.map_err(Trouble::ours)?;
                Ok(())
            }
            ImportState::Following => {
                same(self.kept, &view)?;
                let line = "What was built is what was sent, compared by digest. Now what changed meanwhile.";
                Ok(turn(self.plane, self.kept, self.next(Step::CatchUp, Some(self.kept.round.number)), line).await?)
            }
            ImportState::Failed => Err(refused(&view)),
            ImportState::Locked => Err(Trouble::Over(
                "What the old place sent is sealed with a passphrase, so it cannot be taken in.".into(),
            )),
            _ => self.at_work(&view).await,
        }
    }

    /// What changed since the last round comes and is put into what is staged.
    async fn round(&self) -> Done {
        let Some((kept, bytes)) = self.ready().await? else { return Ok(()) };
        let number = kept.round.stage;
        let mut view = self.stage.announce(number, bytes).await.map_err(Trouble::ours)?;
        let is_in = |view: &ImportView| view.state == ImportState::Following && view.round == Some(number);
        if !is_in(&view) {
            let mut offset = self.stage.offset(number).await.map_err(unusable)?;
            while offset < bytes {
                offset = self.fetch(&kept, offset, bytes).await?;
                if offset < bytes && !kept.round.hold {
                    return Ok(());
                }
            }
            view = self.stage.apply(number).await.map_err(Trouble::ours)?;
            while view.state == ImportState::CatchingUp {
                if let Some(why) = view.error {
                    return Err(Trouble::Passing(Error::retry(why)));
                }
                view = self.stage.look().await.map_err(Trouble::ours)?;
            }
        }
        if view.state == ImportState::Failed {
            return Err(refused(&view));
        }
        if !is_in(&view) {
            let why = view.error.unwrap_or_else(|| "what changed could not be put into what is here".into());
            return Err(Trouble::Spoiled(format!("A round was of no use: {why}")));
        }
        same(&kept, &view)?;
        self.landed(&kept, bytes).await
    }

    /// A round is in: on to the next one, to a hold, or to the hand-over.
    async fn landed(&self, kept: &Kept, bytes: u64) -> Done {
        let now = self.now();
        let took = (now - kept.round.begun_ms).max(0);
        let kept = &Kept { arrived: kept.arrived + bytes, rounds: kept.rounds + 1, spoiled: 0, ..kept.clone() };
        let came = format!("Round {}: {} of changes are in.", kept.round.number, words::size(bytes));
        if kept.round.hold {
            let after = Kept { step: Step::HandOver, error: None, stuck_ms: None, progress: (0, 0), ..kept.clone() };
            return Ok(turn(
                self.plane,
                kept,
                after,
                &format!("{came} Both sides have the same; the old place is asked to stand down."),
            )
            .await?);
        }
        let is_short = took < SHORT_MS || bytes < LITTLE;
        // After a hold that was too short the next one waits for more short rounds.
        let leash = 1 + kept.holds.min(5);
        let is_time = is_short && kept.rounds >= leash || kept.rounds >= MOST_ROUNDS;
        let step = if is_time { Step::Held } else { Step::CatchUp };
        let after = Kept { ..Self::after(kept, step, Some(kept.round.number), now) };
        let line = if is_time { format!("{came} Saving there waits for a moment now.") } else { came };
        Ok(turn(self.plane, kept, after, &line).await?)
    }

    /// The source stands down.
    async fn hand_over(&self) -> Done {
        let kept = self.kept;
        let payload = kept.round.payload.ok_or_else(|| Trouble::Over("Nothing was compared yet.".into()))?;
        let successor = self.stage.own(self.plane, kept).await.map_err(Trouble::ours)?;
        let request = HandoverRequest { round: kept.round.number, payload, successor: successor.clone() };
        // From the moment it stands down people are sent here, where what they come for is not live yet.
        self.plane.gates().threshold().hold(kept.server);
        let handed: Handed = match self.peer.post(&self.at("/handover"), Some(&self.token), &request).await {
            Ok(handed) => handed,
            Err(error) => {
                let said = error.sentence().to_owned();
                return match Refused::word(&error) {
                    Some("behind") => self.behind().await,
                    Some("differs") => Err(Trouble::Differs(format!("here {payload}, and {said}"))),
                    Some("cancelled") => Err(Trouble::Stopped),
                    Some("token" | "conflict" | "not-found" | "malformed" | "version") => Err(Trouble::Over(said)),
                    // It may have stood down whatever else it says, or nobody; asked again, it says so.
                    _ => Err(Trouble::Passing(Error::retry(said).because(error))),
                };
            }
        };
        let handover = self.holds(&handed, &successor, &payload)?;
        let line = format!(
            "The old place has stood down and signed it: epoch {}, after {} changes. It forwards until {}.",
            handover.epoch,
            words::count(handover.seq),
            words::day(handover.forward_until)
        );
        let after = Kept { step: Step::Activate, handed: Some(handed), error: None, stuck_ms: None, ..kept.clone() };
        Ok(turn(self.plane, kept, after, &line).await?)
    }

    /// The pause was over before all was here.
    async fn behind(&self) -> Done {
        let holds = self.kept.holds + 1;
        if holds > MOST_HOLDS {
            return Err(Trouble::Over(
                "The old place went on writing before the last changes were here, again and again. Try again when it is used less.".into(),
            ));
        }
        let after = Kept { holds, rounds: 0, ..self.next(Step::CatchUp, Some(self.kept.round.number)) };
        let line = "Something was written there before the old place stood down, so it goes on there. Another round.";
        Ok(turn(self.plane, self.kept, after, line).await?)
    }

    /// What the source signed, if it is about this very move.
    fn holds(&self, handed: &Handed, successor: &Party, payload: &export_format::Digest) -> Result<Handover, Trouble> {
        let over = |what: &str| {
            Trouble::Over(format!(
                "What the old place signed as its hand-over {what}, so your server does not go live here. If it has stood down there, you can take it back there."
            ))
        };
        let handover = Handover::open(&handed.handover).map_err(|error| over(&format!("is of no use ({error})")))?;
        let epoch = self.kept.agreed.as_ref().map_or(0, |agreed| agreed.server.epoch);
        match () {
            () if handover.id != self.kept.id => Err(over("is about another move")),
            () if handover.server != self.theirs => Err(over("is about another server")),
            () if handover.successor != *successor => Err(over("names another successor")),
            () if handover.payload != *payload => Err(over("is about other content")),
            () if handover.epoch <= epoch => Err(over("is of an earlier life of the server")),
            () => Ok(handover),
        }
    }

    /// The two change places. Whatever hinders passes.
    async fn activate(&self) -> Done {
        let kept = self.kept;
        let handed =
            kept.handed.clone().ok_or_else(|| Trouble::from(Error::bug("a move goes live without a hand-over")))?;
        let passing = |error: Error| Trouble::Passing(error);
        let own = self.stage.own(self.plane, kept).await.map_err(passing)?;
        if self.was_taken_back(&handed).await {
            let answer = self.stage.renounce(&handed.handover, own.clone()).await.map_err(passing)?;
            if matches!(answer, RecallAnswer::Cancelled { .. }) {
                return Ok(recall::given_up(self.plane, kept.id).await?);
            }
        }
        let request = ActivateRequest { handover: handed.handover, guests: handed.guests, own };
        let activated = match self.stage.activate(&request).await {
            Err(error) if error.kind() == Kind::Gone => return Ok(recall::given_up(self.plane, kept.id).await?),
            activated => activated.map_err(passing)?,
        };
        // It may be where one had left from here.
        leaving::came_back(self.plane, kept.server).await.map_err(passing)?;
        let brought = kept.report.as_ref().map(|report| report.domains.as_slice()).unwrap_or_default();
        let key = Some(self.theirs.did.as_str());
        domains::keep(self.plane, kept.server, brought, domains::Came::Move, key).await.map_err(passing)?;
        let now = self.now();
        let paused = kept.held_ms.map(|held| words::spell(now - held));
        let line = match paused {
            Some(paused) => format!("Your server is here. Saving had waited for {paused}."),
            None => "Your server is here.".to_owned(),
        };
        let after = Kept {
            step: Step::Settle,
            activated_ms: Some(now),
            acceptance: Some(activated.acceptance),
            error: None,
            stuck_ms: None,
            progress: (0, 0),
            ..kept.clone()
        };
        Ok(turn(self.plane, kept, after, &line).await?)
    }

    /// Whether the old place says that its owner took the server back. Asked only by who comes late: a program that was down for a
    /// while, or was put back from a copy.
    async fn was_taken_back(&self, handed: &Handed) -> bool {
        let handover = Handover::open(&handed.handover).ok();
        let is_late = handover.is_none_or(|word| self.now() - word.at.as_millisecond() > LATE_MS);
        if !is_late {
            return false;
        }
        let told: Result<MoveView> = self.peer.get(&self.base, Some(&self.token)).await;
        told.is_ok_and(|told| told.state == MoveState::Cancelled)
    }

    /// The source hears that the server is live here.
    async fn settle(&self) -> Done {
        let acceptance = self.kept.acceptance.as_ref();
        let acceptance = acceptance.ok_or_else(|| Trouble::from(Error::bug("a move settles without an acceptance")))?;
        let told: Result<MoveView> = self.peer.post(&self.at("/settled"), Some(&self.token), acceptance).await;
        let line = match told {
            Ok(_) => "The old place knows, and forwards.".to_owned(),
            Err(error) if error.kind() == Kind::Retry => return Err(Trouble::Passing(error)),
            Err(error) => {
                format!("The old place did not take the news: {} That changes nothing here.", error.sentence())
            }
        };
        let after = Kept { state: State::Done, error: None, stuck_ms: None, ..self.kept.clone() };
        Ok(turn(self.plane, self.kept, after, &line).await?)
    }

    /// Asks for the row's round until it is ready: the row as it stands then, and the length. Nothing when it is being made.
    async fn ready(&self) -> Result<Option<(Kept, u64)>, Trouble> {
        let (kept, asked) = (self.kept, &self.kept.round);
        let request = RoundRequest { round: asked.number, base: asked.base, hold: asked.hold };
        let mut round: TheirRound =
            self.peer.post(&self.at("/rounds"), Some(&self.token), &request).await.map_err(Trouble::theirs)?;
        loop {
            if round.round != asked.number || round.base != asked.base {
                return Err(Trouble::Over("The old place answers with another round than was asked for.".into()));
            }
            match round.state {
                RoundState::Ready => break,
                RoundState::Failed => {
                    let why: String = round.error.unwrap_or_default().chars().take(200).collect();
                    return Err(Trouble::Spoiled(format!("The old place could not give a round: {why}")));
                }
                RoundState::Making => {}
            }
            if !asked.hold {
                progress(self.plane, &Kept { progress: (round.done, round.total), ..kept.clone() }).await?;
            }
            let begun = Instant::now();
            let at = self.at(&format!("/rounds/{}?waitMs={WAIT_MS}", asked.number));
            round = self.peer.get(&at, Some(&self.token)).await.map_err(Trouble::theirs)?;
            if round.state == RoundState::Making {
                let breath = if asked.hold { BREATH[0] } else { BREATH[1] };
                tokio::time::sleep_until(begun + breath).await;
                if !asked.hold {
                    return Ok(None);
                }
            }
        }
        let (Some(bytes), Some(payload)) = (round.bytes, round.payload) else {
            return Err(Trouble::Over("The old place does not say how long what it gives is.".into()));
        };
        if asked.bytes == Some(bytes) && asked.payload == Some(payload) {
            return Ok(Some((kept.clone(), bytes)));
        }
        if asked.bytes.is_some() {
            return Err(Trouble::Lost("The old place gives something else than it had announced.".into()));
        }
        self.fits(bytes).await?;
        let known = Round { bytes: Some(bytes), payload: Some(payload), ..asked.clone() };
        let after = Kept { round: known, received: 0, progress: (0, 0), error: None, ..kept.clone() };
        let line = match (asked.base, round.seq) {
            (None, Some(seq)) => {
                format!(
                    "A moment of the server was taken: change {}, {} to bring.",
                    words::count(seq),
                    words::size(bytes)
                )
            }
            (None, None) => format!("A moment of the server was taken: {} to bring.", words::size(bytes)),
            (Some(_), _) => String::new(),
        };
        turn(self.plane, kept, after.clone(), &line).await?;
        Ok(Some((after, bytes)))
    }

    /// Brings bytes from `offset` on, for one stretch; answers with where the next ones begin.
    async fn fetch(&self, kept: &Kept, offset: u64, bytes: u64) -> Result<u64, Trouble> {
        let until = bytes.min(offset.saturating_add(STRETCH));
        let at = self.at(&format!("/rounds/{}/archive", kept.round.number));
        // While people wait to save, nobody else's turn is waited for.
        let _turn = if kept.round.hold { None } else { self.plane.arriving().turn().await };
        let coming = self.peer.bytes(&at, &self.token, offset, until).await.map_err(Trouble::theirs)?;
        let reached = std::sync::Arc::new(std::sync::atomic::AtomicU64::new(offset));
        let broken = std::sync::Arc::new(parking_lot::Mutex::new(None));
        let (counter, fault, plane) = (reached.clone(), broken.clone(), self.plane.clone());
        let paced = coming.take_until(tokio::time::sleep(TURN)).then(move |part| {
            let (counter, fault, plane) = (counter.clone(), fault.clone(), plane.clone());
            async move {
                match part {
                    Ok(part) => {
                        plane.arriving().pace.take(part.len()).await;
                        counter.fetch_add(part.len() as u64, std::sync::atomic::Ordering::Relaxed);
                        Ok(part)
                    }
                    Err(error) => {
                        let said = std::io::Error::other(error.sentence().to_owned());
                        *fault.lock() = Some(error);
                        Err(said)
                    }
                }
            }
        });
        let body = Body::from_stream(paced);
        let begun = Instant::now();
        let upload = async {
            match kept.round.base {
                None => self.stage.archive(offset, body).await,
                Some(_) => self.stage.delta(kept.round.stage, offset, body).await,
            }
        };
        let mut upload = std::pin::pin!(upload);
        let told = |reached: u64| {
            let millis = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX).max(1);
            let speed = (reached - offset).saturating_mul(1000) / millis;
            Kept { received: reached, progress: (reached, bytes), speed, error: None, stuck_ms: None, ..kept.clone() }
        };
        loop {
            tokio::select! {
                done = &mut upload => {
                    // When the way here broke off, that is what is to be told, and not what our server makes of it.
                    if let Some(error) = broken.lock().take() {
                        return Err(Trouble::theirs(error));
                    }
                    let here = done.map_err(Trouble::ours)?.clamp(offset, bytes);
                    if !kept.round.hold {
                        progress(self.plane, &told(here)).await?;
                    }
                    return Ok(here);
                }
                () = tokio::time::sleep(TELL) => {
                    let reached = reached.load(std::sync::atomic::Ordering::Relaxed).min(bytes);
                    progress(self.plane, &told(reached)).await?;
                }
            }
        }
    }

    /// Whether so much fits the plan of the server here.
    async fn fits(&self, bytes: u64) -> Done {
        let server = servers::server(self.plane, &Actor::System, self.kept.server).await?;
        let bill = subscriptions::bill(self.plane, &Actor::System, server.account).await?;
        let room = bill.terms.storage_bytes;
        if bytes > room {
            return Err(Trouble::Over(words::too_big(bytes, room)));
        }
        Ok(())
    }

    /// Whether the report says that it may be taken, and that it comes from the server that was agreed on.
    fn acceptable(&self, report: &ImportReport) -> Done {
        if !report.acceptable {
            let why = report.findings.first().cloned().unwrap_or_else(|| "what came cannot be taken in".into());
            return Err(Trouble::Over(why));
        }
        let SignatureView::Valid { fingerprint, .. } = &report.signature else {
            return Err(Trouble::Over("What the old place sent is not signed by the server it is from.".into()));
        };
        let agreed = words::fingerprint(&self.theirs.did);
        if agreed.as_ref() != Some(fingerprint) {
            return Err(Trouble::Over(
                "What the old place sent is signed by another server than the one that was agreed on.".into(),
            ));
        }
        Ok(())
    }

    async fn at_work(&self, view: &ImportView) -> Done {
        match &view.error {
            Some(why) => Err(Trouble::Passing(Error::retry(why.clone()))),
            None => Ok(progress(self.plane, &Kept { progress: (view.done, view.total), ..self.kept.clone() }).await?),
        }
    }

    fn next(&self, step: Step, base: Option<u32>) -> Kept {
        Self::after(self.kept, step, base, self.now())
    }

    /// The row with the next round.
    pub(super) fn after(kept: &Kept, step: Step, base: Option<u32>, now_ms: i64) -> Kept {
        let hold = step == Step::Held;
        Kept {
            step,
            round: Round {
                number: kept.round.number + 1,
                // A round that the stage may have heard of has used its number up.
                stage: if base.is_none() { 0 } else { kept.round.stage + u32::from(kept.round.bytes.is_some()) },
                base,
                hold,
                begun_ms: now_ms,
                bytes: None,
                payload: None,
            },
            held_ms: if hold { Some(now_ms) } else { kept.held_ms },
            received: 0,
            progress: (0, 0),
            speed: 0,
            error: None,
            stuck_ms: None,
            ..kept.clone()
        }
    }

    fn at(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    fn now(&self) -> i64 {
        self.plane.now().as_millisecond()
    }
}

/// A round that our own server takes nothing of is made up for by another.
fn unusable(error: Error) -> Trouble {
    match error.kind() {
        Kind::Conflict => Trouble::Spoiled(format!("A round was of no use: {}.", error.sentence())),
        _ => Trouble::ours(error),
    }
}

/// What our own server found wrong with what came.
fn refused(view: &ImportView) -> Trouble {
    let finding = view.report.as_ref().and_then(|report| report.findings.first().cloned());
    Trouble::Over(view.error.clone().or(finding).unwrap_or_else(|| "What came could not be taken in.".into()))
}

/// Whether what is staged is what the source says it sent.
fn same(kept: &Kept, view: &ImportView) -> Done {
    let there = kept.round.payload.map(|payload| payload.to_string()).unwrap_or_default();
    match &view.payload {
        Some(here) if *here == there => Ok(()),
        Some(here) => Err(Trouble::Differs(format!("here {here}, there {there}"))),
        None => Err(Trouble::Passing(Error::retry("Your server has not yet compared what came."))),
    }
}
