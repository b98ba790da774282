//! The program itself: its words, and its errors at the start.

use std::process::{Command, Output};

fn freehold(arguments: &[&str], environment: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_freehold"));
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("FREEHOLD_")) {
        command.env_remove(name);
    }
    command.args(arguments).envs(environment.iter().copied()).output().unwrap()
}

fn refusal(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[test]
fn a_mistake_in_the_file_names_the_key_the_line_and_the_mend() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("freehold.toml");
    for (text, parts) in [
        ("listen = \"8080\"\n", ["line 1", "`listen`", "127.0.0.1:8080"]),
        ("\n\nlisen = \"127.0.0.1:1\"\n", ["line 3", "no key `lisen`", "Did you mean `listen`?"]),
        ("[servers]\nidle_after = \"soon\"\n", ["line 2", "`servers.idle_after`", "\"5m\""]),
        ("[servers]\nidle = \"5m\"\n", ["line 2", "no key `servers.idle`", "freehold config"]),
        ("[mail]\nsmtp = \"mail.example\"\n", ["line 2", "`mail.smtp`", "smtps://"]),
        ("[database]\nurl = \"mysql://x\"\n", ["line 2", "`database.url`", "postgres://"]),
        ("data = [1]\n", ["line 1", "`data`", "one value"]),
        ("public_port = 70000\n", ["line 1", "`public_port`", "1 to 65535"]),
        ("scheme = \"ftp\"\n", ["line 1", "`scheme`", "\"https\""]),
        ("listen = \n", ["line 1", "not TOML", "freehold config"]),
    ] {
        std::fs::write(&file, text).unwrap();
        let said = refusal(&freehold(&["check-config", file.to_str().unwrap()], &[]));
        for part in parts {
            assert!(said.contains(part), "{text:?}: {part:?} is not in {said:?}");
        }
    }
}

#[test]
fn the_environment_overrides_the_file_and_its_mistakes_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("freehold.toml");
    std::fs::write(&file, "listen = \"127.0.0.1:1111\"\n").unwrap();
    let told = freehold(&["check-config", file.to_str().unwrap()], &[("FREEHOLD_LISTEN", "127.0.0.1:2222")]);
    assert!(String::from_utf8_lossy(&told.stdout).contains("127.0.0.1:2222"), "{told:?}");
    let said = refusal(&freehold(&["check-config"], &[("FREEHOLD_LISTEN", "here")]));
    assert!(said.contains("FREEHOLD_LISTEN") && said.contains("`listen`"), "{said}");
    let said = refusal(&freehold(&["check-config"], &[("FREEHOLD_LISTN", "127.0.0.1:1")]));
    assert!(said.contains("Did you mean `FREEHOLD_LISTEN`?"), "{said}");
}

#[test]
fn the_printed_configuration_is_one_that_is_taken() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("freehold.toml");
    std::fs::write(&file, freehold(&["config"], &[]).stdout).unwrap();
    assert!(freehold(&["check-config", file.to_str().unwrap()], &[]).status.success());
}

#[test]
fn a_taken_port_and_a_newer_directory_are_clear_errors() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let said = refusal(&freehold(&["serve", "--data", data.to_str().unwrap(), "--listen", &address], &[]));
    assert!(
        said.contains(&address) && said.contains("another program has this port") && said.contains("--listen"),
        "{said}"
    );
    std::fs::write(data.join("layout"), "99\n").unwrap();
    let said = refusal(&freehold(&["serve", "--data", data.to_str().unwrap(), "--listen", "127.0.0.1:0"], &[]));
    assert!(said.contains("newer version") && said.contains("99"), "{said}");
}
