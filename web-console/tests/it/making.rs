//! `freehold app`: from an empty folder to a published app, by the real program.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

fn freehold(at: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_freehold"));
    command.arg("app").args(args).current_dir(at).output().unwrap()
}

fn good(at: &Path, args: &[&str]) -> String {
    let output = freehold(at, args);
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{args:?}: {told}{}", String::from_utf8_lossy(&output.stdout));
    String::from_utf8(output.stdout).unwrap()
}

fn refused(at: &Path, args: &[&str]) -> String {
    let output = freehold(at, args);
    assert!(!output.status.success(), "{args:?} should not work");
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn change(file: &Path, from: &str, to: &str) {
    let text = fs::read_to_string(file).unwrap();
    assert!(text.contains(from), "{}", file.display());
    fs::write(file, text.replace(from, to)).unwrap();
}

#[test]
fn an_app_is_begun_checked_and_published_and_an_update_must_be_newer() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let create = ["create", "shopping", "--id", "com.example.shopping", "--name", "Bread & \"butter\""];
    good(at, &create);
    assert!(refused(at, &create).contains("is not empty"));
    assert_eq!(good(at, &["check", "shopping"]).trim(), "Nothing to mend.");

    let page = at.join("shopping/index.html");
    change(&page, "<main>", "<main onclick=\"go()\">");
    let told = refused(at, &["check", "shopping"]);
    assert!(told.contains("index.html:2: onclick") && told.contains("one mistake"), "{told}");
    let publish = ["publish", "shopping", "--key", "maker.key"];
    assert!(refused(at, &publish).contains("onclick"), "what has mistakes is not published");
    change(&page, "<main onclick=\"go()\">", "<main>");

    let told = good(at, &publish);
    let key =
        told.lines().find_map(|line| line.strip_prefix("Whoever follows the catalogue needs this key: ")).unwrap();
    let verify = Command::new(env!("CARGO_BIN_EXE_freehold"))
        .args(["catalogue", "verify", "catalogue", "--key", key])
        .current_dir(at)
        .output()
        .unwrap();
    assert!(verify.status.success(), "{}", String::from_utf8_lossy(&verify.stderr));

    assert!(refused(at, &publish).contains("not newer"));
    change(&at.join("shopping/manifest.json"), "0.1.0", "0.2.0");
    good(at, &publish);
    good(at, &["create", "chess"]);
    good(at, &["publish", "chess", "--key", "maker.key"]);
    let index: serde_json::Value = serde_json::from_slice(&fs::read(at.join("catalogue/index.json")).unwrap()).unwrap();
    let apps: Vec<_> = index["apps"]
        .as_array()
        .unwrap()
        .iter()
        .map(|app| (app["id"].as_str().unwrap(), app["version"].as_str().unwrap()))
        .collect();
    assert_eq!(apps, [("com.example.shopping", "0.2.0"), ("org.example.chess", "0.1.0")]);
    assert_eq!(index["apps"][0]["maker"], index["apps"][1]["maker"], "both are signed by one maker");
    assert_eq!(index["apps"][0]["name"], "Bread & \"butter\"");
}

/// Ends what a test began, however it ends.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let pid = rustix::process::Pid::from_raw(self.0.id().cast_signed()).unwrap();
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        let _ = self.0.wait();
    }
}

#[test]
fn a_running_app_is_handed_over_anew_when_a_file_changes() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    good(at, &["create", "shopping"]);
    let mut running = Command::new(env!("CARGO_BIN_EXE_freehold"))
        .args(["app", "run", "shopping", "--listen", "127.0.0.1:0"])
        .current_dir(at)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let out = running.stdout.take().unwrap();
    let _running = Ended(running);
    let mut lines = BufReader::new(out).lines().map(Result::unwrap);
    let mut until = |words: &str| lines.by_ref().find(|line| line.contains(words)).unwrap_or_else(|| panic!("{words}"));
    until("Sign in once with http://home.localhost:");
    assert!(until("The app is at").contains("http://shopping.home.localhost:"));
    change(&at.join("shopping/app.js"), "Nothing here yet.", "Nothing at all.");
    until("Handed over.");
    change(&at.join("shopping/app.js"), "Nothing at all.", "' + eval('1') + '");
    assert!(until("mistake").contains("eval"), "what is wrong is told while one writes");
    until("Handed over.");
}
