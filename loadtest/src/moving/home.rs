//! Taking a server home and away again: what a person does there, by the two commands there are for it.

use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::Command;

/// How long it took at home.
#[derive(Clone, Copy, Debug)]
pub struct Stay {
    /// From the command to the server that answers: the archive checked and taken in.
    pub came: Duration,
    /// To have an archive of it again.
    pub left: Duration,
}

/// Runs the server of an archive at home, below `dir`, stops it, and makes an archive of it there.
pub async fn through_home(dir: &Path, archive: &Path, again: &Path) -> Result<Stay> {
    let program = infra::binaries::find("freehold-runtime")?;
    let home = dir.join("home");
    let began = Instant::now();
    let mut command = Command::new(&program);
    command.args(["serve", "--listen", "127.0.0.1:0", "--data"]).arg(&home).arg("--archive").arg(archive);
    let mut serving = command.stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true).spawn()?;
    let mut lines = BufReader::new(serving.stdout.take().context("it is piped")?).lines();
    while !lines.next_line().await?.context("it ended before it served")?.starts_with("Sign in once") {}
    let came = began.elapsed();
    let pid = serving.id().and_then(|id| Pid::from_raw(id.try_into().ok()?)).context("it runs")?;
    kill_process(pid, Signal::TERM)?;
    ensure!(serving.wait().await?.success(), "it did not stop well");
    let began = Instant::now();
    let mut command = Command::new(&program);
    let done = command.args(["export", "--data"]).arg(&home).arg("--to").arg(again).output().await?;
    ensure!(done.status.success(), "no archive was made at home: {done:?}");
    Ok(Stay { came, left: began.elapsed() })
}
