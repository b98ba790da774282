//! The launcher's end of the channel to its agent, without ever waiting.
//!
//! The launcher must stay able to wake servers while an agent is busy, so what cannot be sent is kept. Log lines are
//! the one thing there can be too much of: beyond a limit they are dropped, and their number is told later.

use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;

use super::wire::{News, Order};

/// Unsent bytes from which on log lines are dropped.
const ENOUGH_UNSENT: usize = 4 << 20;

/// The longest order; a line beyond it means that the two ends do not understand each other.
const LONGEST_ORDER: usize = 1 << 20;

/// The channel, with what has come in part and what has not left yet.
#[derive(Debug)]
pub(super) struct Channel {
    stream: UnixStream,
    unread: Vec<u8>,
    unsent: Vec<u8>,
    dropped: u64,
}

/// What reading gave.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Heard {
    /// Orders, perhaps none yet.
    Orders(Vec<Order>),
    /// The agent has ended; these came before.
    Silence(Vec<Order>),
}

impl Channel {
    pub(super) fn new(stream: UnixStream) -> io::Result<Self> {
        stream.set_nonblocking(true)?;
        Ok(Self { stream, unread: Vec::new(), unsent: Vec::new(), dropped: 0 })
    }

    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }

    /// Reads what is there.
    pub(super) fn hear(&mut self) -> io::Result<Heard> {
        let mut piece = [0; 16 * 1024];
        loop {
            match self.stream.read(&mut piece) {
                Ok(0) => return Ok(Heard::Silence(self.whole_orders()?)),
                Ok(count) => self.unread.extend_from_slice(&piece[..count]),
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Ok(Heard::Orders(self.whole_orders()?)),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) if e.kind() == io::ErrorKind::ConnectionReset => {
                    return Ok(Heard::Silence(self.whole_orders()?));
                }
                Err(e) => return Err(e),
            }
        }
    }

    fn whole_orders(&mut self) -> io::Result<Vec<Order>> {
        let Some(end) = self.unread.iter().rposition(|byte| *byte == b'\n') else {
            let too_long = self.unread.len() > LONGEST_ORDER;
            return if too_long { Err(io::Error::other("an order has no end")) } else { Ok(Vec::new()) };
        };
        let lines: Vec<u8> = self.unread.drain(..=end).collect();
        let lines = lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        lines.map(|line| serde_json::from_slice(line).map_err(io::Error::other)).collect()
    }

    /// Takes news for sending; [`Self::send`] sends them.
    pub(super) fn tell(&mut self, news: &News) {
        if matches!(news, News::Said { .. }) && self.unsent.len() > ENOUGH_UNSENT {
            self.dropped += 1;
            return;
        }
        if self.dropped > 0 && self.unsent.len() < ENOUGH_UNSENT / 2 {
            let what = format!("{} lines of servers' logs were dropped", std::mem::take(&mut self.dropped));
            self.append(&News::Trouble { what });
        }
        self.append(news);
    }

    fn append(&mut self, news: &News) {
        let line = serde_json::to_vec(news).expect("news are plain data with string keys");
        self.unsent.extend_from_slice(&line);
        self.unsent.push(b'\n');
    }

    /// Sends what can be sent, and says whether some is left.
    pub(super) fn send(&mut self) -> io::Result<bool> {
        let mut sent = 0;
        let outcome = loop {
            if sent == self.unsent.len() {
                break Ok(false);
            }
            match self.stream.write(&self.unsent[sent..]) {
                Ok(count) => sent += count,
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => break Ok(true),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => break Err(e),
            }
        };
        self.unsent.drain(..sent);
        outcome
    }

    /// Sends everything, waiting for the agent; for the last words.
    pub(super) fn send_all(&mut self) -> io::Result<()> {
        self.stream.set_nonblocking(false)?;
        self.stream.write_all(&self.unsent)?;
        self.unsent.clear();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_come_whole_however_they_are_cut_and_silence_is_noticed() {
        let (ours, mut theirs) = UnixStream::pair().expect("a pair");
        let mut channel = Channel::new(ours).expect("a channel");
        let line = serde_json::to_string(&Order::List { number: 7 }).expect("json");
        theirs.write_all(&line.as_bytes()[..5]).expect("a part");
        assert_eq!(channel.hear().expect("a part is no error"), Heard::Orders(vec![]));
        theirs.write_all(format!("{}\n{line}\n", &line[5..]).as_bytes()).expect("the rest");
        drop(theirs);
        let list = Order::List { number: 7 };
        assert_eq!(channel.hear().expect("two orders"), Heard::Silence(vec![list.clone(), list]));
    }

    #[test]
    fn an_agent_that_does_not_listen_loses_log_lines_and_nothing_else() {
        let (ours, theirs) = UnixStream::pair().expect("a pair");
        let mut channel = Channel::new(ours).expect("a channel");
        let server = tenant_runtime::ids::ServerId::new(1);
        let said = News::Said { server, line: "x".repeat(1000) };
        for _ in 0..10_000 {
            channel.tell(&said);
        }
        channel.tell(&News::Slept { server });
        assert!(channel.dropped > 0 && channel.unsent.len() < ENOUGH_UNSENT + 4096);
        let reader = std::thread::spawn(move || io::read_to_string(theirs).expect("text"));
        channel.send_all().expect("someone reads");
        channel.tell(&News::Slept { server });
        channel.send_all().expect("someone reads");
        drop(channel);
        let text = reader.join().expect("a reader");
        assert_eq!(text.matches("slept").count(), 2);
        assert!(text.contains("logs were dropped"));
    }
}
