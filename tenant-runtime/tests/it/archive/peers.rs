//! Programs that know nothing of us accept what we export.

use std::process::Command;

use super::*;

/// Runs a stock tool; without it the test is skipped, unless peers are required.
fn peer(program: &str, arguments: &[&str], folder: &Path) -> bool {
    let output = match Command::new(program).args(arguments).current_dir(folder).output() {
        Ok(output) => output,
        Err(error) => {
            assert!(std::env::var_os("FREEHOLD_REQUIRE_PEERS").is_none(), "{program} is not here: {error}");
            eprintln!("{program} is not here, so it was not asked: {error}");
            return false;
        }
    };
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments:?}: {said}");
    true
}

#[tokio::test(flavor = "multi_thread")]
async fn stock_tools_accept_a_real_export() {
    let root = tempfile::tempdir().unwrap();
    let server = furnished(root.path(), "localhost").await;
    server.exports.begin("e", asked(Some("correct horse"), false), NOW).await.unwrap();
    server.frozen("e").await;
    let folder = root.path().join("unpacked");
    std::fs::create_dir(&folder).unwrap();
    let archive = root.path().join("anna.pcc.zip");
    std::fs::write(&archive, server.fetch("e").await).unwrap();
    let archive = archive.to_str().unwrap();
    if !peer("unzip", &["-tq", archive], &folder) || !peer("unzip", &["-q", archive], &folder) {
        return;
    }
    peer("sha256sum", &["--check", "--strict", "--quiet", "manifest-sha256.txt"], &folder);
    peer("sha256sum", &["--check", "--strict", "--quiet", "tagmanifest-sha256.txt"], &folder);
    peer("jq", &["-e", ".format == \"pcc-archive\" and .counts.documents == 2002", "pcc.json"], &folder);
    peer(
        "jq",
        &[
            "-es",
            "length == 2000 and .[7].big[\"$int\"] == \"9007199254740993\"",
            "data/apps/org.example.notes/tables/notes/00.ndjson",
        ],
        &folder,
    );
    let bagit = std::env::var("FREEHOLD_BAGIT").unwrap_or_else(|_| "bagit.py".into());
    peer(&bagit, &["--validate", "--quiet", "."], &folder);

    // The key stands in the archive's own did.json for show; here it is taken from the server, as a provider would.
    let key = server.home.read(tenant_runtime::archive::identity::read).await.unwrap().unwrap();
    let public = export_format::signature::Signer::from_seed(&key.key().to_bytes()).public().to_string();
    std::fs::write(folder.join("signers"), format!("anna {public}\n")).unwrap();
    let verify = "ssh-keygen -Y verify -f signers -I anna -n pcc-export@v1 -s tagmanifest-sha256.txt.sig < tagmanifest-sha256.txt";
    peer("sh", &["-c", verify], &folder);
}
