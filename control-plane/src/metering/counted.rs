//! Bodies and connections whose bytes are counted as they go by.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Buf as _;
use http_body::{Body, Frame, SizeHint};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::traffic::Tally;

/// A body on its way to or from a server.
#[derive(Debug)]
pub struct Counted<B> {
    body: B,
    tally: Arc<Tally>,
    way: Way,
}

#[derive(Clone, Copy, Debug)]
enum Way {
    Received,
    Sent,
}

impl<B> Counted<B> {
    /// The body of a request.
    pub fn received(body: B, tally: Arc<Tally>) -> Self {
        Self { body, tally, way: Way::Received }
    }

    /// The body of an answer.
    pub fn sent(body: B, tally: Arc<Tally>) -> Self {
        Self { body, tally, way: Way::Sent }
    }
}

impl<B: Body + Unpin> Body for Counted<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        if let Poll::Ready(Some(Ok(frame))) = &polled
            && let Some(data) = frame.data_ref()
        {
            let bytes = data.remaining() as u64;
            match self.way {
                Way::Received => self.tally.received(bytes),
                Way::Sent => self.tally.sent(bytes),
            }
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A visitor's end of a tunnel: what is read from it was received for the server, what is written to it was sent.
#[derive(Debug)]
pub struct CountedIo<T> {
    io: T,
    tally: Arc<Tally>,
}

impl<T> CountedIo<T> {
    /// Counts what goes through `io`.
    pub fn new(io: T, tally: Arc<Tally>) -> Self {
        Self { io, tally }
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for CountedIo<T> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let polled = Pin::new(&mut self.io).poll_read(cx, buf);
        self.tally.received((buf.filled().len() - before) as u64);
        polled
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for CountedIo<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.io).poll_write(cx, bytes);
        if let Poll::Ready(Ok(written)) = &polled {
            self.tally.sent(*written as u64);
        }
        polled
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::traffic::Traffic;
    use super::*;
    use bytes::Bytes;
    use http_body_util::{BodyExt as _, Full};
    use tenant_runtime::ids::ServerId;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    #[tokio::test]
    async fn every_byte_is_counted_once_and_on_its_side() {
        let (traffic, server) = (Traffic::default(), ServerId::new(1));
        let body = Counted::received(Full::new(Bytes::from_static(b"12345")), traffic.of(server));
        assert_eq!(body.collect().await.unwrap().to_bytes(), "12345");
        let body = Counted::sent(Full::new(Bytes::from_static(b"123")), traffic.of(server));
        body.collect().await.unwrap();

        let (ours, mut theirs) = tokio::io::duplex(64);
        let mut tunnel = CountedIo::new(ours, traffic.of(server));
        theirs.write_all(b"up").await.unwrap();
        tunnel.read_exact(&mut [0; 2]).await.unwrap();
        tunnel.write_all(b"down").await.unwrap();
        theirs.read_exact(&mut [0; 4]).await.unwrap();
        let shown = traffic.shown();
        assert_eq!((shown[0].received, shown[0].sent), (7, 7));
    }
}
