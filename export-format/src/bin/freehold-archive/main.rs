//! `freehold-archive`: make, look into, check, unpack, compare, convert, sign and seal archives, without any provider.
//!
//! Exit status: 0 when an archive is accepted (or two are equal, or the work is done), 1 when it is refused (or they
//! differ), 2 for wrong usage, 3 when something could not be read or written.

mod apply;
mod check;
mod convert;
mod create;
mod decrypt;
mod delta;
mod diff;
mod encrypt;
mod extract;
mod gather;
mod list;
mod opened;
mod sign;
mod verify;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use export_format::plan::{Piece, Plan};
use export_format::reader::Progress;
use export_format::source::Source;
use indicatif::ProgressBar;

/// Make, look into, check, unpack, compare, convert, sign and seal personal server archives (.pcc.zip, .pcc.zip.age).
#[derive(Debug, Parser)]
#[command(
    version,
    after_help = "Exit status: 0 accepted, done or equal; 1 refused or different; 2 wrong usage; 3 could not read or write."
)]
struct Arguments {
    /// Print one JSON document instead of text.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make an archive from a folder that has a data/ folder inside.
    Create(create::Create),
    /// Make an archive of any folder, that a server can take in: its files become files of one app.
    Gather(gather::Gather),
    /// List what an archive holds. Reads the list of entries and the bag's own files only.
    List(list::List),
    /// Check an archive, or a folder with an unpacked one, and say everything that is wrong.
    Check(check::Check),
    /// Verify an archive, then unpack it.
    Extract(extract::Extract),
    /// Compare what two archives hold.
    Diff(diff::Diff),
    /// Verify an archive, then write what other systems take.
    Convert(convert::Convert),
    /// Make a delta: what of an archive somebody lacks who has an earlier one.
    Delta(delta::Delta),
    /// Make the whole archive of an earlier one and the deltas since.
    Apply(apply::Apply),
    /// Sign an archive with another key; everything else of it stays as it is.
    Sign(sign::Sign),
    /// Say by whom an archive is signed, and whether the signature fits.
    Verify(verify::Verify),
    /// Seal a whole archive with age.
    Encrypt(encrypt::Encrypt),
    /// Open a sealed archive.
    Decrypt(decrypt::Decrypt),
}

/// Whom an archive is expected to be signed by.
#[derive(Debug, clap::Args)]
struct TrustArguments {
    /// The key the archive must be signed by: "ssh-ed25519 AAAA…" or a file with it. May be given several times.
    #[arg(long = "signed-by", value_name = "KEY")]
    signed_by: Vec<String>,
}

/// How much an archive may hold.
#[derive(Debug, clap::Args)]
struct LimitArguments {
    /// Refuse an archive whose content is larger than this many bytes.
    #[arg(long, value_name = "BYTES")]
    max_bytes: Option<u64>,
    /// Refuse an archive that has more entries than this, its own files among them.
    #[arg(long, value_name = "NUMBER")]
    max_entries: Option<u64>,
}

/// How a command that could be carried out ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Good,
    Bad,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let json = arguments.json;
    let outcome = match arguments.command {
        Command::Create(command) => command.run(json),
        Command::Gather(command) => command.run(json),
        Command::List(command) => command.run(json),
        Command::Check(command) => command.run(json),
        Command::Extract(command) => command.run(json),
        Command::Diff(command) => command.run(json),
        Command::Convert(command) => command.run(json),
        Command::Delta(command) => command.run(json),
        Command::Apply(command) => command.run(json),
        Command::Sign(command) => command.run(json),
        Command::Verify(command) => command.run(json),
        Command::Encrypt(command) => command.run(json),
        Command::Decrypt(command) => command.run(json),
    };
    match outcome {
        Ok(Outcome::Good) => ExitCode::SUCCESS,
        Ok(Outcome::Bad) => ExitCode::from(1),
        Err(err) => {
            // Whoever closed the pipe does not want to read about it.
            let _ = writeln!(std::io::stderr(), "freehold-archive: {err:#}");
            ExitCode::from(3)
        }
    }
}

/// Shows on a bar how far something has got.
fn follow(bar: &ProgressBar) -> impl FnMut(Progress) {
    let bar = bar.clone();
    move |progress| {
        bar.set_length(progress.total);
        bar.set_position(progress.done);
    }
}

/// Prints a line; a closed pipe is no error.
fn say(line: impl std::fmt::Display) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

/// Writes what a plan lays out, whose sources are places in an archive, as a new file.
fn write_plan(plan: &Plan<u64>, archive: &impl Source, output: &Path, bar: &ProgressBar) -> anyhow::Result<()> {
    let mut out = opened::New::create(output)?;
    bar.set_message("writing");
    bar.set_length(plan.len());
    bar.set_position(0);
    let mut buffer = vec![0; 256 * 1024];
    for piece in plan.range(0..plan.len()) {
        match piece {
            Piece::Inline(bytes) => {
                out.write_all(&bytes)?;
                bar.inc(bytes.len() as u64);
            }
            Piece::Stored { source: start, range, .. } => {
                let (mut at, end) = (start + range.start, start + range.end);
                while at < end {
                    let part = (end - at).min(buffer.len() as u64) as usize;
                    archive.read_exact_at(at, &mut buffer[..part])?;
                    out.write_all(&buffer[..part])?;
                    at += part as u64;
                    bar.inc(part as u64);
                }
            }
        }
    }
    out.finish()?;
    bar.finish_and_clear();
    Ok(())
}

/// A progress bar for `verb`; shows itself on terminals only.
fn bar(verb: &'static str) -> ProgressBar {
    let bar = ProgressBar::new(0);
    if let Ok(style) = indicatif::ProgressStyle::with_template("{msg} {wide_bar} {bytes}/{total_bytes} {eta}") {
        bar.set_style(style);
    }
    bar.with_message(verb)
}

/// Where something is on disk.
type Place = PathBuf;
