//! What a runtime writes to its standard error, cut into lines.

use std::os::fd::BorrowedFd;

use rustix::io::Errno;

/// The longest line that is passed on; what follows becomes a line of its own.
const LONGEST: usize = 8 * 1024;

/// How much is read of one runtime before the others get their turn.
const TURN: usize = 64 * 1024;

/// A line that has begun.
#[derive(Debug, Default)]
pub(super) struct Log {
    begun: Vec<u8>,
}

impl Log {
    /// Reads what is there and gives the lines that are whole.
    pub(super) fn read(&mut self, pipe: BorrowedFd<'_>) -> Vec<String> {
        let mut lines = Vec::new();
        let mut piece = [0; 8 * 1024];
        let mut read = 0;
        while read < TURN {
            match rustix::io::read(pipe, &mut piece) {
                Ok(0) => break,
                Ok(count) => {
                    read += count;
                    self.cut(&piece[..count], &mut lines);
                }
                Err(Errno::INTR) => {}
                Err(_) => break,
            }
        }
        lines
    }

    /// The line that has begun and will not go on.
    pub(super) fn rest(&mut self) -> Option<String> {
        (!self.begun.is_empty()).then(|| text(&std::mem::take(&mut self.begun)))
    }

    fn cut(&mut self, bytes: &[u8], lines: &mut Vec<String>) {
        for byte in bytes {
            if *byte == b'\n' || self.begun.len() == LONGEST {
                lines.push(text(&self.begun));
                self.begun.clear();
            }
            if *byte != b'\n' {
                self.begun.push(*byte);
            }
        }
    }
}

/// As text, without what could steer an operator's terminal.
fn text(line: &[u8]) -> String {
    let line = String::from_utf8_lossy(line);
    line.chars().map(|c| if c.is_control() && c != '\t' { '\u{fffd}' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use super::*;

    #[test]
    fn lines_are_whole_bounded_and_harmless() {
        let (read, write) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::NONBLOCK).expect("a pipe");
        let mut log = Log::default();
        rustix::io::write(&write, b"one\ntw").expect("room");
        assert_eq!(log.read(read.as_fd()), ["one"]);
        rustix::io::write(&write, b"o\n\x1b[2Jthree").expect("room");
        assert_eq!(log.read(read.as_fd()), ["two"]);
        assert_eq!(log.rest().expect("it had begun"), "\u{fffd}[2Jthree");
        rustix::io::write(&write, &[b'x'; LONGEST + 1]).expect("room");
        assert_eq!(log.read(read.as_fd()), ["x".repeat(LONGEST)]);
    }
}
