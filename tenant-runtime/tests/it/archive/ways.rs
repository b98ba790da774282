//! The ways by which an archive gets from one server to the next, each for servers with every kind of content: to a
//! provider of another domain, through encryption, through a chain of deltas, and through the second implementation.
//!
//! What goes in comes from a stranger of a newer minor version ([`super::strangers`]); then its owner lives with it here for
//! a while, so that nothing is handed on as it came only because nobody touched it.
//!
//! `FREEHOLD_ROUND_TRIPS` sets the number of servers for each way, `FREEHOLD_SEED` repeats a run.

use std::io::Read as _;
use std::process::Command;

use export_format::delta::{self, Delta};
use export_format::plan::Piece;
use export_format::reader::{Limits, Reader};
use export_format::sealed::{Envelope, Forward, Key};
use export_format::signature::{Signer, Trust};
use export_format::source::Source as _;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestRng, TestRunner};
use serde_json::Value;

use super::haystack::Haystack;
use super::history::first;
use super::round_trip::{Furniture, any_furniture, furnish};
use super::strangers::{Stranger, Written, any_stranger, assert_sound};
use super::*;
use crate::store_faults::seed;

const PHRASE: &str = "violet harbour counts seven";

/// A server to be: what came, and what its owner adds.
#[derive(Clone, Debug)]
struct Life {
    stranger: Stranger,
    own: Furniture,
}

/// Tries `way` with servers of every kind.
fn with_servers(way: impl AsyncFn(&Lived) -> Result<(), TestCaseError>) {
    let cases = std::env::var("FREEHOLD_ROUND_TRIPS").ok().and_then(|n| n.parse().ok()).unwrap_or(3);
    let mut rng = [0; 32];
    rng[..8].copy_from_slice(&seed().to_le_bytes());
    let config = Config { cases, max_shrink_iters: 40, failure_persistence: None, ..Config::default() };
    let mut runner = TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &rng));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let life = (any_stranger(), any_furniture()).prop_map(|(stranger, own)| Life { stranger, own });
    let outcome = runner.run(&life, |life| {
        runtime.block_on(async {
            let lived = Lived::through(&life).await;
            way(&lived).await
        })
    });
    outcome.unwrap();
}

/// A server that came from elsewhere and was lived with.
struct Lived {
    _root: tempfile::TempDir,
    server: Server,
    /// What left of it last, keys and history included.
    archive: Vec<u8>,
    came: Written,
    usable: Vec<String>,
}

impl Lived {
    async fn through(life: &Life) -> Self {
        let root = tempfile::tempdir().unwrap();
        let server = Server::wake(root.path(), launch("anna", "localhost", 1 << 30)).await;
        let came = life.stranger.write();
        let done = server.import("op", &came.bytes).await;
        assert_eq!(done.state, ImportState::Done, "{:?}", done.error);
        // Untouched it leaves as it came.
        let mut lived = Self { _root: root, server, archive: Vec::new(), came, usable: life.stranger.usable() };
        let again = lived.leave("untouched", false).await;
        assert_eq!(payload_manifest(&again), payload_manifest(&lived.came.bytes));
        lived.assert_nothing_lost(&again);
        // And lived with, it has lost nothing that nobody here understands.
        furnish(&lived.server, &life.own).await;
        lived.touch(1).await;
        lived.archive = lived.leave("touched", true).await;
        lived.assert_nothing_lost(&lived.archive);
        lived
    }

    /// An archive of the server now, sound by the strict reader.
    async fn leave(&self, id: &str, with_all: bool) -> Vec<u8> {
        let id = id.replace(' ', "-");
        let mut wish = asked(with_all.then_some(PHRASE), false);
        wish.history = with_all.then(first);
        self.server.exports.begin(&id, wish, NOW).await.unwrap();
        self.server.frozen(&id).await;
        let archive = self.server.fetch(&id).await;
        assert_sound(&archive);
        archive
    }

    /// Changes something in everything that can be changed here.
    async fn touch(&self, turn: usize) {
        for id in &self.usable {
            self.server.put_rows(id, "mine", vec![row(&format!("own-{turn}"), r#"{"title":"own"}"#)]).await;
            self.server.put_rows(id, "a", vec![row("own", &format!(r#"{{"turn":{turn}}}"#))]).await;
            self.server.put_file(id, &format!("own/{turn}.jpg"), vec![turn as u8; 65_536]).await;
        }
        let say = move |db: &rusqlite::Connection| {
            settings::put(db, "language", &format!("de-{turn}"))?;
            for mut permission in permissions::list(db)? {
                permission.decided = Some(NOW + turn as i64);
                permissions::put(db, &permission)?;
            }
            Ok::<_, Error>(())
        };
        self.server.home.write(move |db| say(db)).await.unwrap();
    }

    /// Everything nobody here knows is still said, and what was carried has the bytes it had.
    fn assert_nothing_lost(&self, archive: &[u8]) {
        let said = Haystack::of(archive);
        let lost: Vec<_> = self.came.marks.iter().filter(|mark| !said.holds("text", mark)).collect();
        assert!(lost.is_empty(), "{lost:?} of {} are lost", self.came.marks.len());
        let now = payload_manifest(archive);
        let opaque = |line: &&str| {
            [
                "/files/",
                "/code/",
                "/volumes/",
                "/later",
                "/messages/",
                "/contacts/",
                "/Later/",
                "/providers/",
                "/carried/",
            ]
            .iter()
            .any(|part| line.contains(part))
        };
        for line in payload_manifest(&self.came.bytes).lines().filter(opaque) {
            let digest = &line[..64];
            assert!(now.contains(digest), "{line} is lost");
        }
    }

    /// A server of another domain that takes `archive` in, sealed or not.
    async fn elsewhere(&self, archive: &[u8]) -> (tempfile::TempDir, Server) {
        let root = tempfile::tempdir().unwrap();
        let there = Server::wake(root.path(), launch("bea", "other.localhost", 1 << 30)).await;
        let mut view = there.offer("op", archive).await;
        if view.state == ImportState::Locked {
            there.imports.unlock("op", PHRASE.into()).await.unwrap();
            view = there.settled("op").await;
        }
        assert_eq!(view.state, ImportState::Checked, "{:?}", view.error);
        there.imports.confirm("op").await.unwrap();
        let done = there.settled("op").await;
        assert_eq!(done.state, ImportState::Done, "{:?}", done.error);
        (root, there)
    }

    /// What leaves of a server elsewhere that has taken `archive` in.
    async fn handed_on(&self, archive: &[u8]) -> Vec<u8> {
        let (_root, there) = self.elsewhere(archive).await;
        there.export("on").await;
        let on = there.fetch("on").await;
        assert_sound(&on);
        on
    }
}

fn pcc(archive: &[u8]) -> Value {
    let mut zip = zip::ZipArchive::new(std::io::Cursor::new(archive)).unwrap();
    serde_json::from_reader(zip.by_name("pcc.json").unwrap()).unwrap()
}

#[test]
fn to_a_provider_of_another_domain_goes_the_same_under_another_address() {
    with_servers(async |lived| {
        let on = lived.handed_on(&lived.archive).await;
        prop_assert_eq!(payload_manifest(&on), payload_manifest(&lived.archive));
        let (before, after) = (pcc(&lived.archive), pcc(&on));
        // What is said of the person and of the content stays,
        for same in ["format", "kind", "counts", "x-later"] {
            prop_assert_eq!(&before[same], &after[same], "{}", same);
        }
        prop_assert_eq!(&before["subject"]["alsoKnownAs"], &after["subject"]["alsoKnownAs"]);
        prop_assert_eq!(&before["secrets"]["files"], &after["secrets"]["files"]);
        // what is said of the place and of this one archive does not; only the moment may be the same by chance.
        for other in ["archiveId", "source"] {
            prop_assert_ne!(&before[other], &after[other], "{}", other);
        }
        prop_assert_eq!(&after["subject"]["domain"], "bea.other.localhost");
        prop_assert_ne!(&before["subject"]["did"], &after["subject"]["did"], "each server signs with a key of its own");
        prop_assert!(after["source"].get("x-place").is_none());
        Ok(())
    });
}

#[test]
fn through_encryption_by_passphrase_and_to_a_key_comes_the_same() {
    with_servers(async |lived| {
        // To a key, opened by a stock program: the same to the byte.
        let key = age::x25519::Identity::generate();
        let secret = age::secrecy::ExposeSecret::expose_secret(&key.to_string()).to_owned();
        let sealed = sealed(&Envelope::for_recipients(&[&key.to_public().to_string()]).unwrap(), &lived.archive);
        prop_assert!(opened(&sealed, &Key::Identity(secret.clone())) == lived.archive);
        if let Some(plain) = opened_by_age(&sealed, &secret) {
            prop_assert!(plain == lived.archive);
        }
        // By the server itself with a passphrase, which the next one is told.
        lived.server.exports.begin("sealed", asked(Some(PHRASE), true), NOW).await.unwrap();
        lived.server.frozen("sealed").await;
        let sealed = lived.server.fetch("sealed").await;
        let plain = opened(&sealed, &Key::passphrase(PHRASE));
        assert_sound(&plain);
        lived.assert_nothing_lost(&plain);
        prop_assert_eq!(payload_manifest(&lived.handed_on(&sealed).await), payload_manifest(&plain));
        Ok(())
    });
}

fn sealed(envelope: &Envelope, plain: &[u8]) -> Vec<u8> {
    let sealed = envelope.around(plain.len() as u64, &export_format::Digest::of(plain));
    let mut file = Vec::new();
    sealed.range(0..sealed.len()).push(plain, &mut file);
    file
}

fn opened(file: &[u8], key: &Key) -> Vec<u8> {
    let mut plain = Vec::new();
    Forward::open(file, key).unwrap().read_to_end(&mut plain).unwrap();
    plain
}

/// What `age` makes of it; nothing where it is not here and need not be.
fn opened_by_age(file: &[u8], secret: &str) -> Option<Vec<u8>> {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("key"), secret).unwrap();
    std::fs::write(folder.path().join("file"), file).unwrap();
    program(Command::new("age").args(["-d", "-i", "key", "-o", "plain", "file"]).current_dir(folder.path()))?;
    Some(std::fs::read(folder.path().join("plain")).unwrap())
}

#[test]
fn through_a_chain_of_deltas_comes_the_last_archive_and_goes_on_the_same() {
    with_servers(async |lived| {
        let mut archives = vec![lived.archive.clone()];
        for turn in 2..4 {
            lived.touch(turn).await;
            archives.push(lived.leave(&format!("turn-{turn}"), true).await);
        }
        // Back to how it was at first, which takes a third delta.
        archives.push(lived.archive.clone());
        archives.swap(2, 3);
        let limits = Limits::default();
        let mut whole = Reader::open(archives[0].clone(), &limits).unwrap().boxed();
        for pair in archives.windows(2) {
            let base = Reader::open(&pair[0], &limits).unwrap();
            let new = Reader::open(&pair[1], &limits).unwrap().verify(&Trust::Anyone, &mut |_| {}).unwrap();
            let plan = delta::between(&base, &new, &Signer::random()).unwrap();
            let mut bytes = Vec::new();
            for piece in plan.range(0..plan.len()) {
                match piece {
                    Piece::Inline(inline) => bytes.extend_from_slice(&inline),
                    Piece::Stored { source, range, .. } => {
                        bytes.extend_from_slice(
                            &pair[1][(source + range.start) as usize..(source + range.end) as usize],
                        );
                    }
                }
            }
            prop_assert!(Delta::open(&bytes, &limits).unwrap().files().1 > 0, "nothing is taken from the base");
            whole = Delta::open(bytes, &limits).unwrap().apply(whole, &limits).unwrap().boxed();
        }
        let whole = whole.verify(&Trust::Anyone, &mut |_| {}).unwrap();
        let mut came = vec![0; whole.bytes().len().unwrap() as usize];
        whole.bytes().read_exact_at(0, &mut came).unwrap();
        let last = archives.last().unwrap();
        prop_assert!(&came == last);
        prop_assert_eq!(payload_manifest(&lived.handed_on(&came).await), payload_manifest(last));
        Ok(())
    });
}

#[test]
fn through_the_second_implementation_comes_the_same() {
    with_servers(async |lived| {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
        std::fs::write(at("a.zip"), &lived.archive).unwrap();
        let keygen = ["-q", "-t", "ed25519", "-N", "", "-C", "", "-f", &at("key")];
        if program(Command::new("ssh-keygen").args(keygen)).is_none() {
            return Ok(());
        }
        let interop = Path::new(env!("CARGO_MANIFEST_DIR")).join("../export-format/interop");
        let pcc = |arguments: &[&str]| {
            program(Command::new("python3").args(["-m", "pcc"]).args(arguments).current_dir(&interop))
        };
        // Read, unpacked, and packed and signed anew.
        for arguments in [
            &["extract", &at("a.zip"), &at("folder")][..],
            &["create", &at("folder"), &at("b.zip"), "--sign", &at("key")],
            &["diff", &at("a.zip"), &at("b.zip")],
        ] {
            if pcc(arguments).is_none() {
                return Ok(());
            }
        }
        let theirs = std::fs::read(at("b.zip")).unwrap();
        assert_sound(&theirs);
        lived.assert_nothing_lost(&theirs);
        prop_assert!(theirs != lived.archive);
        let on = lived.handed_on(&theirs).await;
        prop_assert_eq!(payload_manifest(&on), payload_manifest(&lived.archive));
        // And it takes what went on, to the last entry.
        std::fs::write(at("on.zip"), &on).unwrap();
        prop_assert!(pcc(&["diff", &at("a.zip"), &at("on.zip")]).is_some());
        Ok(())
    });
}

/// Runs a program; nothing where it is not here and need not be.
fn program(command: &mut Command) -> Option<()> {
    let output = match command.output() {
        Ok(output) => output,
        Err(error) => {
            assert!(std::env::var_os("FREEHOLD_REQUIRE_PEERS").is_none(), "{command:?}: {error}");
            eprintln!("{command:?} is not here, so it was not asked: {error}");
            return None;
        }
    };
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {said}");
    Some(())
}
