//! A client's body on its way to a server.
//!
//! It streams, so its length is of no concern; its pace is. Time counts only while we wait for the client, so that an
//! upload of many gigabytes over a slow line passes and a body that comes drop by drop, to hold a connection open,
//! does not. One that the server does not want is read on for a while ([`Lingering`]), so that the client hears why.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, header};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tenant_runtime::server::linger::{Bound, Lingering};
use tokio::time::{Instant, Sleep};

use crate::metering::Tally;

/// What is read of a body that nobody wants any more.
const REST: Bound = Bound { bytes: 64 << 20, time: Duration::from_secs(30) };

/// Up to this length a body is sent by whoever waits for the answer, because it fits what the sockets hold.
const SMALL: u64 = 64 << 10;

/// The slowest a body may come.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// At least so many bytes…
    pub bytes: u64,
    /// …in so much time spent waiting for them.
    pub time: Duration,
}

/// How a body ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum End {
    /// It has not.
    Open,
    /// All of it has been sent on.
    Whole,
    /// It came too slowly.
    Slow,
    /// The client broke off.
    Broken,
}

/// Tells how a body ended, to who does not hold it.
#[derive(Clone, Default)]
pub(super) struct Course(Option<Arc<AtomicU8>>);

/// A request's body.
pub(super) struct Upload(Option<Box<Sending>>);

struct Sending {
    body: Lingering<Incoming>,
    pace: Pace,
    /// Bytes that came in the present stretch of time, and how much of it was spent waiting.
    came: u64,
    waited: Duration,
    since: Option<Instant>,
    alarm: Option<Pin<Box<Sleep>>>,
    course: Course,
    tally: Option<Arc<Tally>>,
}

/// Why a body broke off.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    /// The client's doing.
    #[error("the client broke off")]
    Broken(#[source] hyper::Error),
    /// Ours.
    #[error("the client sent too slowly")]
    Slow,
}

impl Course {
    pub(super) fn end(&self) -> End {
        match self.0.as_ref().map_or(End::Whole as u8, |end| end.load(Ordering::Acquire)) {
            0 => End::Open,
            1 => End::Whole,
            2 => End::Slow,
            _ => End::Broken,
        }
    }

    fn note(&self, end: End) {
        if let Some(place) = &self.0 {
            place.store(end as u8, Ordering::Release);
        }
    }
}

impl Upload {
    /// No body at all.
    pub(super) fn none() -> Self {
        Self(None)
    }

    /// The body of a request with these headers.
    pub(super) fn of(headers: &HeaderMap, body: Incoming, pace: Pace) -> Self {
        if body.is_end_stream() {
            return Self::none();
        }
        let body = Lingering::new(body, REST, headers.contains_key(header::EXPECT));
        let course = Course(Some(Arc::default()));
        let sending =
            Sending { body, pace, came: 0, waited: Duration::ZERO, since: None, alarm: None, course, tally: None };
        Self(Some(Box::new(sending)))
    }

    pub(super) fn course(&self) -> Course {
        self.0.as_ref().map_or_else(Course::default, |sending| sending.course.clone())
    }

    /// Has its bytes counted.
    pub(super) fn count_for(&mut self, tally: &Arc<Tally>) {
        if let Some(sending) = &mut self.0 {
            sending.tally = Some(Arc::clone(tally));
        }
    }

    pub(super) fn is_none(&self) -> bool {
        self.0.is_none()
    }

    pub(super) fn is_small(&self) -> bool {
        self.size_hint().upper().is_some_and(|length| length <= SMALL)
    }
}

impl Body for Upload {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        self.0.as_mut().map_or(Poll::Ready(None), |sending| sending.poll_frame(cx))
    }

    fn is_end_stream(&self) -> bool {
        self.0.as_ref().is_none_or(|sending| sending.body.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        self.0.as_ref().map_or(SizeHint::with_exact(0), |sending| sending.body.size_hint())
    }
}

impl Sending {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        match Pin::new(&mut self.body).poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => {
                let length = frame.data_ref().map_or(0, |data| data.len() as u64);
                self.came += length;
                if let Some(tally) = &self.tally {
                    tally.received(length);
                }
                if let Some(since) = self.since.take() {
                    self.waited += since.elapsed();
                }
                if self.body.is_end_stream() {
                    self.course.note(End::Whole);
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(error))) => {
                self.course.note(End::Broken);
                Poll::Ready(Some(Err(Error::Broken(error))))
            }
            Poll::Ready(None) => {
                self.course.note(End::Whole);
                Poll::Ready(None)
            }
            Poll::Pending => self.poll_patience(cx),
        }
    }

    fn poll_patience(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        loop {
            let since = *self.since.get_or_insert_with(Instant::now);
            let until = since + self.pace.time.saturating_sub(self.waited);
            let alarm = self.alarm.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(until)));
            if alarm.deadline() != until {
                alarm.as_mut().reset(until);
            }
            std::task::ready!(alarm.as_mut().poll(cx));
            if self.came < self.pace.bytes {
                self.course.note(End::Slow);
                self.body.abandon();
                return Poll::Ready(Some(Err(Error::Slow)));
            }
            (self.came, self.waited, self.since) = (0, Duration::ZERO, None);
        }
    }
}
