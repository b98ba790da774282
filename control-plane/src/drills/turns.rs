//! Whose turn it is, and doing it, one after the other.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tenant_runtime::ids::ServerId;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::store::{self, Due};
use super::trial::{self, Trouble};
use super::{Failed, Fault, Passed, told};
use crate::servers::{Doing, Seen};
use crate::{ControlPlane, Error, Result};

/// After so many periods also a server is tried that sleeps and has written nothing since it last passed.
pub const UNCHANGED: i32 = 6;
/// When what did not pass is tried again, and when a new server is tried for the first time.
pub(crate) const A_DAY: SignedDuration = SignedDuration::from_hours(24);
/// When the turn of a drill that was cut off comes again: it may be what ended the program.
const AFTER_A_CUT: SignedDuration = SignedDuration::from_hours(1);
/// How often it is looked whose turn has come.
const ROUND: Duration = Duration::from_secs(60);
/// How long a drill may take.
const LONGEST: Duration = Duration::from_secs(6 * 3600);
/// How long a stand-in may take to go when the program ends; what is left goes at the next start.
const GOING: Duration = Duration::from_secs(10);
/// So many servers whose turn has come are looked at together.
const LOOKED_AT: u32 = 50;

/// Which kind of drill was the last, so that those who ask and those whose turn has come do not keep each other waiting.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Last {
    #[default]
    Due,
    Asked,
}

/// Whether a server whose turn has come is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Turn {
    Try,
    /// It is left alone, and looked at again then.
    PutOff(Timestamp),
}

/// The loop, until `stop`.
pub(crate) async fn run(plane: ControlPlane, stop: CancellationToken) {
    while !stop.is_cancelled() {
        match take_turn(&plane).await {
            Ok(true) => continue,
            Ok(false) => {}
            Err(error) => {
                tracing::warn!(error = error.chain(), "exit drills cannot be done just now; it is tried again");
            }
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = plane.drills().bell.notified() => {}
            () = tokio::time::sleep(ROUND) => {}
        }
    }
}

/// Clears away what a killed program left, and does one drill if somebody waits for one; false when nobody does.
pub async fn take_turn(plane: &ControlPlane) -> Result<bool> {
    let mut last = plane.drills().turns.lock().await;
    clear_away(plane).await?;
    let asked = store::asked(plane.db()).await?;
    let (server, kind) = match (asked, *last) {
        (Some(server), Last::Due) => (server, Last::Asked),
        (asked, _) => match (due(plane).await?, asked) {
            (Some(server), _) => (server, Last::Due),
            (None, Some(server)) => (server, Last::Asked),
            (None, None) => return Ok(false),
        },
    };
    *last = kind;
    drill(plane, server).await?;
    Ok(true)
}

/// Erases the stand-ins of drills that were cut off, and lets those drills wait again.
async fn clear_away(plane: &ControlPlane) -> Result<()> {
    for (server, stand_in) in store::cut_off(plane.db()).await? {
        erase(plane, stand_in).await?;
        store::clear(plane.db(), server, after(plane, AFTER_A_CUT)).await?;
        tracing::info!(server.id = %server, stand_in.id = %stand_in, "the stand-in of a drill that was cut off is gone");
    }
    Ok(())
}

/// A server to be tried whose turn has come.
async fn due(plane: &ControlPlane) -> Result<Option<ServerId>> {
    let Some(every) = plane.settings().drills_every else { return Ok(None) };
    loop {
        let due = store::due(plane.db(), plane.now(), LOOKED_AT).await?;
        if due.is_empty() {
            return Ok(None);
        }
        for due in due {
            let seen = plane.sightings().of(due.server).seen;
            let asleep = matches!(seen, Seen::Placed { doing: Doing::Asleep, .. });
            match turn(&due, asleep, every, plane.now()) {
                Turn::Try => return Ok(Some(due.server)),
                Turn::PutOff(next) => store::put_off(plane.db(), due.server, next).await?,
            }
        }
    }
}

/// Whether a server is tried now: unless it sleeps, passed, and has written nothing since.
fn turn(due: &Due, asleep: bool, every: Duration, now: Timestamp) -> Turn {
    let unchanged = asleep && !due.failed && due.seq.is_some() && due.seq == due.told_seq;
    let (Some(passed), true) = (due.passed, unchanged) else { return Turn::Try };
    let later = |from: Timestamp, span: SignedDuration| from.checked_add(span).unwrap_or(Timestamp::MAX);
    let every = SignedDuration::try_from(every).unwrap_or(SignedDuration::MAX);
    let at_last = later(passed, every.checked_mul(UNCHANGED).unwrap_or(SignedDuration::MAX));
    if at_last <= now { Turn::Try } else { Turn::PutOff(later(now, every).min(at_last)) }
}

/// Does one drill, and notes what came of it once nothing of it is left.
async fn drill(plane: &ControlPlane, server: ServerId) -> Result<()> {
    let stand_in = ServerId::new(plane.now().as_millisecond());
    if !store::begin(plane.db(), server, stand_in).await? {
        return Ok(());
    }
    *plane.drills().stand_in.lock() = Some(stand_in);
    plane.note_change();
    let begun = Instant::now();
    let trial = tokio::time::timeout(LONGEST, trial::try_out(plane, server, stand_in));
    let Some(tried) = plane.stopping().run_until_cancelled(trial).await else {
        // Whoever asked waits on; the turn that has come is there at the next start.
        let gone = tokio::time::timeout(GOING, erase(plane, stand_in)).await;
        gone.map_err(|late| Error::retry("The stand-in of a drill goes at the next start.").because(late))??;
        return store::clear(plane.db(), server, plane.now()).await;
    };
    let took = begun.elapsed();
    let tried = tried.unwrap_or_else(|_| Err(Trouble::ours(Error::retry("It took longer than six hours."))));
    trial::let_go(plane, server, stand_in).await;
    erase(plane, stand_in).await?;
    *plane.drills().stand_in.lock() = None;
    let before = store::of(plane.db(), server).await?;
    let mut tx = plane.db().begin().await?;
    let note = match tried {
        Ok(tried) => {
            let (documents, files, bytes) = (tried.counts.documents, tried.counts.files, tried.bytes);
            let passed = Passed { at: plane.now(), documents, files, bytes, took };
            let every = plane.settings().drills_every.and_then(|every| SignedDuration::try_from(every).ok());
            store::pass(&mut tx, server, &passed, tried.seq, after(plane, every.unwrap_or(A_DAY))).await?;
            told::passed(&before, &passed)
        }
        Err(Trouble { fault, error }) => {
            let whose = match fault {
                Fault::Archive => "the archive",
                Fault::Provider => "this provider",
            };
            tracing::warn!(server.id = %server, whose, error = error.chain(), "an exit drill did not pass");
            let failed = Failed { at: plane.now(), fault, why: error.sentence().to_owned() };
            store::fail(&mut tx, server, &failed, after(plane, A_DAY)).await?;
            told::failed(&before, &failed)
        }
    };
    if let Some(note) = note {
        note.of_server(&mut tx, server, plane.now()).await?;
    }
    tx.commit().await?;
    store::forget(plane.db(), server).await?;
    plane.note_change();
    Ok(())
}

async fn erase(plane: &ControlPlane, stand_in: ServerId) -> Result<()> {
    let gone = plane.host().erase(stand_in).await;
    gone.map_err(|error| Error::retry("The stand-in of a drill could not be erased.").because(error))
}

fn after(plane: &ControlPlane, span: SignedDuration) -> Timestamp {
    plane.now().checked_add(span).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const EVERY: Duration = Duration::from_secs(30 * 24 * 3600);

    #[test]
    fn only_a_sleeper_that_passed_and_wrote_nothing_since_is_left_alone_and_not_for_ever() {
        let day = |nth: i64| Timestamp::from_second(nth * 24 * 3600).unwrap();
        let passed =
            Due { server: ServerId::new(1), passed: Some(day(0)), failed: false, seq: Some(7), told_seq: Some(7) };
        assert_eq!(turn(&passed, true, EVERY, day(30)), Turn::PutOff(day(60)));
        assert_eq!(turn(&passed, true, EVERY, day(170)), Turn::PutOff(day(180)));
        assert_eq!(turn(&passed, true, EVERY, day(180)), Turn::Try);
        assert_eq!(turn(&passed, false, EVERY, day(30)), Turn::Try, "who is awake may have changed");
        for changed in [
            Due { told_seq: Some(8), ..passed },
            Due { told_seq: None, ..passed },
            Due { seq: None, told_seq: None, ..passed },
            Due { failed: true, ..passed },
            Due { passed: None, ..passed },
        ] {
            assert_eq!(turn(&changed, true, EVERY, day(30)), Turn::Try, "{changed:?}");
        }
    }
}
