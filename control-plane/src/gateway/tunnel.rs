//! A connection that has been upgraded, to WebSocket for one, carried until either side ends it.

use std::future::poll_fn;
use std::task::Poll;

use http::Response;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;

use super::gates::Pass;
use super::lines::Order;
use super::port::Caller;
use super::upstream::Answer;
use crate::metering::CountedIo;

/// Joins both sides. The server stays awake, and the line keeps its place among the others, until it ends.
pub(super) fn tunnel(response: &mut Response<Answer>, on_client: Option<OnUpgrade>, pass: &Pass, caller: &Caller) {
    let Some(on_client) = on_client else { return };
    let tally = response.body().tally();
    let on_server = hyper::upgrade::on(response);
    let (pass, caller) = (pass.another(), caller.clone());
    tokio::spawn(async move {
        let _held = (pass, caller.line.turn());
        let (Ok(client), Ok(server)) = tokio::join!(on_client, on_server) else { return };
        let (mut client, mut server) = (CountedIo::new(TokioIo::new(client), tally), TokioIo::new(server));
        let told_to_end = poll_fn(|cx| match caller.line.order(cx) {
            Order::GoOn => Poll::Pending,
            Order::Finish | Order::Cut => Poll::Ready(()),
        });
        tokio::select! {
            // Either side may hang up at any time; that ends the tunnel and is no error.
            _ = tokio::io::copy_bidirectional(&mut client, &mut server) => {}
            () = told_to_end => {}
        }
    });
}
