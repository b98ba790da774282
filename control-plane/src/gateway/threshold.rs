//! Who waits before a server while another is about to go on in its place.
//!
//! In the moment in which a server stands down elsewhere, and its successor here is not live yet, whoever asks is sent here
//! already. What lies here still is not what they come for, so they wait for that moment, and are not failed.

use std::collections::HashSet;
use std::time::Duration;

use tenant_runtime::ids::ServerId;
use tokio::sync::watch;

/// The servers before which people wait. Cheap to clone; all clones are one.
#[derive(Clone, Debug, Default)]
pub struct Threshold {
    waited_for: watch::Sender<HashSet<ServerId>>,
}

impl Threshold {
    /// Whoever asks for this server waits from now on.
    pub fn hold(&self, server: ServerId) {
        self.waited_for.send_if_modified(|waited_for| waited_for.insert(server));
    }

    /// They go on.
    pub fn release(&self, server: ServerId) {
        self.waited_for.send_if_modified(|waited_for| waited_for.remove(&server));
    }

    /// Waits until one may go on to a server, for `patience` at most.
    pub(super) async fn pass(&self, server: ServerId, patience: Duration) -> Waited {
        if !self.waited_for.borrow().contains(&server) {
            return Waited::Not;
        }
        let mut waited_for = self.waited_for.subscribe();
        let passed = waited_for.wait_for(|waited_for| !waited_for.contains(&server));
        match tokio::time::timeout(patience, passed).await {
            Ok(_) => Waited::Until,
            Err(_) => Waited::InVain,
        }
    }
}

/// How long somebody waited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Waited {
    /// Not at all.
    Not,
    /// Until it was over.
    Until,
    /// As long as is bearable, and it was not over.
    InVain,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_asks_for_a_server_that_is_about_to_come_waits_and_others_do_not() {
        let threshold = Threshold::default();
        let (coming, other) = (ServerId::new(1_763_700_000_000), ServerId::new(1_763_700_000_001));
        assert_eq!(threshold.pass(coming, Duration::ZERO).await, Waited::Not);
        threshold.hold(coming);
        assert_eq!(threshold.pass(other, Duration::from_secs(60)).await, Waited::Not);
        assert_eq!(threshold.pass(coming, Duration::from_millis(20)).await, Waited::InVain);
        let waiting = tokio::spawn({
            let threshold = threshold.clone();
            async move { threshold.pass(coming, Duration::from_secs(60)).await }
        });
        tokio::task::yield_now().await;
        threshold.release(coming);
        // It may have come only when that was over already.
        assert!(waiting.await.is_ok_and(|waited| waited != Waited::InVain));
    }
}
