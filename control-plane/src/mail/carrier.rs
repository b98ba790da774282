//! Carrying letters away by SMTP, with patience.
//!
//! A letter may leave twice when we are killed between the post office's receipt and our note of it; it then has the same
//! Message-ID, so that mail programs show one. It never stays behind.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use lettre::message::{Mailbox, MultiPart};
use lettre::{AsyncSmtpTransport, AsyncTransport as _, Message, Tokio1Executor};
use tokio_util::sync::CancellationToken;

use super::outbox::{OutboxEntry, due, note_failure, note_sent};
use crate::{ControlPlane, Error, Kind, Result, Smtp};

/// Looks for letters to try again this often.
const EVERY: Duration = Duration::from_secs(30);
/// Minutes to wait after each try that failed; then we give up.
const PATIENCE: [i64; 9] = [1, 5, 15, 60, 120, 240, 480, 720, 1440];

/// The way out.
#[derive(Debug)]
pub(crate) struct Carrier {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
}

impl Carrier {
    /// The way out that is configured, if one is.
    pub(crate) fn new(smtp: Option<&Smtp>) -> Result<Option<Self>> {
        let Some(smtp) = smtp else { return Ok(None) };
        let mend = |what: &str| format!("The mail setting {what} cannot be read.");
        let transport = AsyncSmtpTransport::<Tokio1Executor>::from_url(&smtp.url)
            .map_err(|error| Error::new(Kind::Fix, mend("smtp.url")).because(error))?
            .timeout(Some(Duration::from_secs(30)))
            .build();
        let from = smtp.from.parse().map_err(|error| Error::new(Kind::Fix, mend("smtp.from")).because(error))?;
        Ok(Some(Self { transport, from }))
    }

    async fn carry(&self, letter: &OutboxEntry) -> Result<(), Failure> {
        let to: Mailbox =
            letter.to.parse().map_err(|_| Failure::Lasting("The address cannot be written to.".into()))?;
        let message = Message::builder()
            .from(self.from.clone())
            .to(to)
            .subject(&letter.subject)
            .message_id(Some(format!("<{}@{}>", letter.id, self.from.email.domain())))
            .multipart(MultiPart::alternative_plain_html(letter.text.clone(), letter.html.clone()))
            .map_err(|error| Failure::Lasting(error.to_string()))?;
        match self.transport.send(message).await {
            Ok(_) => Ok(()),
            Err(error) if error.is_permanent() => Err(Failure::Lasting(error.to_string())),
            Err(error) => Err(Failure::Passing(chain(&error))),
        }
    }
}

enum Failure {
    Passing(String),
    Lasting(String),
}

/// Carries letters until `stop`.
pub(crate) async fn run(plane: ControlPlane, carrier: Carrier, stop: CancellationToken) {
    loop {
        match pass(&plane, &carrier, &stop).await {
            Ok(true) => continue,
            Ok(false) => {}
            Err(error) => tracing::warn!(error = error.chain(), "the outbox cannot be read just now"),
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = plane.post_nudged() => {}
            () = tokio::time::sleep(EVERY) => {}
        }
    }
}

/// Tries every letter that is due; true when there may be more.
async fn pass(plane: &ControlPlane, carrier: &Carrier, stop: &CancellationToken) -> Result<bool> {
    let letters = due(plane.db(), plane.now()).await?;
    let any = !letters.is_empty();
    for letter in letters {
        if stop.is_cancelled() {
            return Ok(false);
        }
        match carrier.carry(&letter).await {
            Ok(()) => note_sent(plane.db(), letter.id, plane.now()).await?,
            Err(Failure::Lasting(why)) => note_failure(plane.db(), letter.id, &why, None).await?,
            Err(Failure::Passing(why)) => {
                note_failure(plane.db(), letter.id, &why, again(letter.attempts, plane.now())).await?;
            }
        }
    }
    Ok(any)
}

/// When to try again a letter that failed once more after `attempts` failures.
fn again(attempts: u32, now: Timestamp) -> Option<Timestamp> {
    let minutes = PATIENCE.get(usize::try_from(attempts).unwrap_or(usize::MAX))?;
    now.checked_add(SignedDuration::from_mins(*minutes)).ok()
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patience_grows_and_ends() {
        let now = Timestamp::UNIX_EPOCH;
        let waits: Vec<_> = (0..).map_while(|attempts| again(attempts, now)).collect();
        assert_eq!(waits.len(), PATIENCE.len());
        assert!(waits.windows(2).all(|pair| pair[0] < pair[1]));
    }
}
