//! A post office that takes letters over SMTP, and answers as a test wants it to.

use std::collections::VecDeque;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// What it says to the next letter.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Answer {
    Later,
    Never,
}

#[derive(Clone, Default)]
pub(crate) struct PostOffice {
    letters: Arc<Mutex<Vec<String>>>,
    answers: Arc<Mutex<VecDeque<Answer>>>,
}

impl PostOffice {
    /// Opens on a port of its own; returns its address for settings.
    pub(crate) async fn open(answers: impl IntoIterator<Item = Answer>) -> (Self, String) {
        let office = Self { answers: Arc::new(Mutex::new(answers.into_iter().collect())), ..Self::default() };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("smtp://127.0.0.1:{}", listener.local_addr().unwrap().port());
        let inside = office.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(inside.clone().serve(stream));
            }
        });
        (office, url)
    }

    /// Letters that were taken, head and body.
    pub(crate) fn letters(&self) -> Vec<String> {
        self.letters.lock().clone()
    }

    async fn serve(self, stream: TcpStream) -> Option<()> {
        let mut stream = BufReader::new(stream);
        stream.write_all(b"220 office\r\n").await.ok()?;
        loop {
            let mut line = String::new();
            if stream.read_line(&mut line).await.ok()? == 0 {
                return None;
            }
            let verb = line.split([' ', ':', '\r']).next().unwrap_or_default().to_ascii_uppercase();
            let answer = match verb.as_str() {
                "EHLO" => "250 office",
                "MAIL" => match self.answers.lock().pop_front() {
                    Some(Answer::Later) => "451 come back later",
                    Some(Answer::Never) => "550 nobody here",
                    None => "250 fine",
                },
                "DATA" => {
                    stream.write_all(b"354 go on\r\n").await.ok()?;
                    let mut letter = String::new();
                    while !letter.ends_with("\r\n.\r\n") {
                        stream.read_line(&mut letter).await.ok().filter(|read| *read > 0)?;
                    }
                    self.letters.lock().push(letter);
                    "250 taken"
                }
                _ => "250 fine",
            };
            stream.write_all(answer.as_bytes()).await.ok()?;
            stream.write_all(b"\r\n").await.ok()?;
        }
    }
}
