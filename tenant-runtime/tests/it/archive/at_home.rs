//! Home and back, by the program's own commands: an archive of a provider becomes a folder's server, and that an archive.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use super::{NOW, Server, asked, furnished, launch, payload_manifest};

const PHRASE: &str = "zwölf Boxkämpfer jagen Viktor";

fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_freehold-runtime"));
    command.stdin(Stdio::null());
    command
}

/// A command that brings an archive into a folder and then serves.
fn serve(folder: &Path, archive: Option<&Path>, more: &[&str]) -> Command {
    let mut command = program();
    command.args(["serve", "--listen", "127.0.0.1:0", "--data"]).arg(folder);
    if let Some(archive) = archive {
        command.arg("--archive").arg(archive);
    }
    command.args(more);
    command
}

/// Runs until it serves, and gives what it said before.
fn serving(mut command: Command) -> (Child, Vec<String>) {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut said = Vec::new();
    for line in BufReader::new(child.stdout.as_mut().unwrap()).lines() {
        said.push(line.unwrap());
        if said.last().unwrap().starts_with("Sign in once") {
            return (child, said);
        }
    }
    panic!("it ended: {:?}", child.wait_with_output())
}

fn stop(child: Child) {
    kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
    let ended = child.wait_with_output().unwrap();
    assert!(ended.status.success(), "{ended:?}");
}

fn refused(mut command: Command) -> String {
    let Output { status, stderr, .. } = command.output().unwrap();
    assert!(!status.success());
    String::from_utf8(stderr).unwrap()
}

fn export(folder: &Path, file: &Path) -> Vec<u8> {
    let mut command = program();
    let done = command.args(["export", "--data"]).arg(folder).arg("--to").arg(file).output().unwrap();
    assert!(done.status.success(), "{done:?}");
    std::fs::read(file).unwrap()
}

/// What the owner sees first who opens the link that was printed.
async fn first_page(said: &[String]) -> String {
    let link = said.last().unwrap().strip_prefix("Sign in once with http://").unwrap();
    let (host, path) = link.split_once('/').unwrap();
    let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    let ask = |path: &str| {
        let port = host.split_once(':').unwrap().1;
        client.get(format!("http://127.0.0.1:{port}/{path}")).header("host", host)
    };
    let entered = ask(path).send().await.unwrap();
    let cookies = entered.headers().get_all("set-cookie").iter();
    let cookies: Vec<&str> = cookies.map(|cookie| cookie.to_str().unwrap().split(';').next().unwrap()).collect();
    ask("").header("cookie", cookies.join("; ")).send().await.unwrap().text().await.unwrap()
}

/// A server of a provider, and its archive, sealed or not, in a file.
async fn left(root: &Path, sealed: bool) -> (Server, PathBuf) {
    let server = furnished(&root.join("provider"), "example.org").await;
    server.exports.begin("leave", asked(sealed.then_some(PHRASE), sealed), NOW).await.unwrap();
    let name = server.frozen("leave").await.file_name;
    let file = root.join(name);
    std::fs::write(&file, server.fetch("leave").await).unwrap();
    (server, file)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_archive_is_a_server_at_home_and_goes_back_to_a_provider_as_it_was() {
    let root = tempfile::tempdir().unwrap();
    let (server, file) = left(root.path(), false).await;
    let archive = std::fs::read(&file).unwrap();
    let home = root.path().join("home");
    let (child, said) = serving(serve(&home, Some(&file), &[]));
    assert!(said.iter().any(|line| line.contains("2002 records, 3 files")), "{said:?}");
    let address = said.iter().find_map(|line| line.strip_prefix("Serving http://")).unwrap();
    assert!(address.starts_with("home.localhost:"), "{address}");
    let busy = refused({
        let mut command = program();
        command.args(["export", "--data"]).arg(&home);
        command
    });
    assert!(busy.contains("has to be stopped first"), "{busy}");
    stop(child);

    let again = refused(serve(&home, Some(&file), &[]));
    assert!(again.contains("holds a server already") && again.contains("--data"), "{again}");
    let (child, said) = serving(serve(&home, None, &[]));
    let page = first_page(&said).await;
    assert!(page.contains(" used</span>") && page.contains("freehold-runtime export"), "{page}");
    for none in ["Console", "More apps", " TB used", "/servers/"] {
        assert!(!page.contains(none), "at home there is no console and no limit: {none} in {page}");
    }
    stop(child);

    let back = export(&home, &root.path().join("back.pcc.zip"));
    assert_eq!(payload_manifest(&back), payload_manifest(&archive));
    let provider = Server::wake(&root.path().join("other"), launch("anna", "other.example", 1 << 30)).await;
    provider.import("back", &back).await;
    assert_eq!(provider.number("select count(*) from app").await, server.number("select count(*) from app").await);
    provider.export("leave").await;
    assert_eq!(payload_manifest(&provider.fetch("leave").await), payload_manifest(&archive));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sealed_archive_wants_its_passphrase() {
    let root = tempfile::tempdir().unwrap();
    let (_server, file) = left(root.path(), true).await;
    let (home, right, wrong) = (root.path().join("home"), root.path().join("right"), root.path().join("wrong"));
    std::fs::write(&right, format!("{PHRASE}\n")).unwrap();
    std::fs::write(&wrong, "another\n").unwrap();
    let none = refused(serve(&home, Some(&file), &[]));
    assert!(none.contains("is sealed") && none.contains("--passphrase-file"), "{none}");
    let bad = refused(serve(&home, Some(&file), &["--passphrase-file", wrong.to_str().unwrap()]));
    assert!(bad.contains("cannot be opened"), "{bad}");
    let (child, said) = serving(serve(&home, Some(&file), &["--passphrase-file", right.to_str().unwrap()]));
    assert!(said.iter().any(|line| line.contains("2002 records")), "{said:?}");
    stop(child);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_or_cut_off_leaves_the_folder_free_for_another() {
    let root = tempfile::tempdir().unwrap();
    let (_server, file) = left(root.path(), false).await;
    let home = root.path().join("home");
    let mut bytes = std::fs::read(&file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    let damaged = root.path().join("damaged.pcc.zip");
    std::fs::write(&damaged, &bytes).unwrap();
    let why = refused(serve(&home, Some(&damaged), &[]));
    assert!(why.contains("refused, and nothing was changed") && why.contains("A file was changed"), "{why}");
    let empty = refused(serve(&home, None, &[]));
    assert!(empty.contains("cut off or refused") && empty.contains("Give --archive again"), "{empty}");
    // Killed at many moments of its work, it begins anew.
    for ms in (0..400).step_by(40) {
        let mut command = serve(&home, Some(&file), &[]);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(std::time::Duration::from_millis(ms));
        child.kill().unwrap();
        child.wait().unwrap();
        if !home.join("arrival").exists() {
            break;
        }
    }
    if home.join("arrival").exists() {
        stop(serving(serve(&home, Some(&file), &[])).0);
    }
    let back = export(&home, &root.path().join("back.pcc.zip"));
    assert_eq!(payload_manifest(&back), payload_manifest(&std::fs::read(&file).unwrap()));
}
