//! Leaving and arriving as a person does it: the pages for export and import.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use reqwest::header::{ACCEPT, ORIGIN, RANGE};
use reqwest::multipart;
use reqwest::{Method, Response};
use tokio::io::AsyncWriteExt;

use crate::person::OwnServer;

/// How often a page is looked at while work goes on, and how many times.
const LOOK: Duration = Duration::from_millis(50);
const LOOKS: usize = 12_000;

impl OwnServer {
    /// Asks for an export and waits until its archive can be fetched; the path of the download.
    pub async fn export(&self) -> Result<String> {
        self.export_with(&[]).await
    }

    /// Asks for an export with these answers in the form, as [`OwnServer::export`] does.
    pub async fn export_with(&self, answers: &[(&str, &str)]) -> Result<String> {
        let page = format!("/servers/{}/export", self.name);
        let form = self.person.form(&page, &format!("{page}s")).await?;
        let (at, _) = self.person.submit(form.with(answers)).await?;
        let archive = format!("{}/archive", at.path());
        for _ in 0..LOOKS {
            let head = self.person.request(Method::HEAD, &archive)?.send().await?;
            if head.status().is_success() {
                return Ok(archive);
            }
            let text = self.person.page(at.path()).await?;
            ensure!(!text.contains("role=\"alert\""), "the export failed: {}", crate::person::words(&text));
            tokio::time::sleep(LOOK).await;
        }
        bail!("the export was not ready in time")
    }

    /// Asks for an archive from byte `from` on.
    pub async fn fetch(&self, archive: &str, from: u64) -> Result<Response> {
        let request = self.person.request(Method::GET, archive)?.header(RANGE, format!("bytes={from}-"));
        Ok(request.send().await?)
    }

    /// Downloads an archive into `file`; its length.
    pub async fn download(&self, archive: &str, file: &Path) -> Result<u64> {
        let mut response = self.person.request(Method::GET, archive)?.send().await?;
        ensure!(response.status().is_success(), "the download answered {}", response.status());
        let announced = response.content_length().context("an archive's length is known before its first byte")?;
        let mut to = tokio::fs::File::create(file).await?;
        let mut length = 0;
        while let Some(chunk) = response.chunk().await? {
            to.write_all(&chunk).await?;
            length += chunk.len() as u64;
        }
        to.flush().await?;
        ensure!(length == announced, "announced {announced} bytes, sent {length}");
        Ok(length)
    }

    /// Sends an archive by the plain form; any status. The path it led to.
    pub async fn upload(&self, file: &Path) -> Result<Response> {
        let page = format!("/servers/{}/import", self.name);
        let form = self.person.form(&page, &format!("{page}s")).await?;
        let origin = form.action.origin().ascii_serialization();
        let token = form.fields.get("token").cloned().unwrap_or_default();
        let archive = multipart::Part::file(file).await?;
        let body = multipart::Form::new().text("token", token).part("archive", archive);
        let request = self.person.request(Method::POST, form.action.as_str())?;
        Ok(request.header(ORIGIN, origin).header(ACCEPT, "text/html").multipart(body).send().await?)
    }

    /// Imports an archive: upload, report, consent, and on until it is done. The path of the operation.
    pub async fn import(&self, file: &Path) -> Result<String> {
        let operation = self.begin_import(file).await?;
        self.arrived(&operation).await?;
        Ok(operation)
    }

    /// An import up to consent: upload, report, *Import*. The path of the operation.
    pub async fn begin_import(&self, file: &Path) -> Result<String> {
        let response = self.upload(file).await?;
        let (status, at) = (response.status(), response.url().clone());
        let text = response.text().await?;
        ensure!(status.is_success(), "the upload answered {status}: {}", crate::person::words(&text));
        let operation = at.path().to_owned();
        self.press_when_offered(&operation, "confirm").await?;
        Ok(operation)
    }

    /// Imports a sealed archive: upload, passphrase, report, consent, and on until it is done.
    pub async fn import_sealed(&self, file: &Path, passphrase: &str) -> Result<String> {
        let response = self.upload(file).await?;
        let (status, at) = (response.status(), response.url().clone());
        let text = response.text().await?;
        ensure!(status.is_success(), "the upload answered {status}: {}", crate::person::words(&text));
        let operation = at.path().to_owned();
        self.open_and_import(&operation, passphrase).await?;
        Ok(operation)
    }

    /// Goes on with the import of a sealed archive that is here: passphrase, report, consent, and on until it is done.
    pub async fn open_and_import(&self, operation: &str, passphrase: &str) -> Result<()> {
        self.wait_for(operation, "unlock").await?;
        let form = self.person.form(operation, &format!("{operation}/unlock")).await?;
        // A wrong one is said so, and asked for again.
        let refused = self.person.send(form.clone().with(&[("passphrase", "another")])).await?;
        let (status, said) = (refused.status(), refused.text().await?);
        ensure!(
            status.is_client_error() && said.contains("not the passphrase"),
            "{status}: {}",
            crate::person::words(&said)
        );
        ensure!(said.contains(&format!("action=\"{operation}/unlock\"")), "it is not asked for again");
        self.person.submit(form.with(&[("passphrase", passphrase)])).await?;
        self.agree(operation).await
    }

    /// Says yes to an import once its report is there, and waits until it is done.
    pub async fn agree(&self, operation: &str) -> Result<()> {
        self.press_when_offered(operation, "confirm").await?;
        self.arrived(operation).await
    }

    /// Waits until an import is done.
    pub async fn arrived(&self, operation: &str) -> Result<()> {
        self.wait_for(operation, "undo").await
    }

    /// Takes an import back, and waits until that is done.
    pub async fn undo(&self, operation: &str) -> Result<()> {
        self.press_when_offered(operation, "undo").await?;
        for _ in 0..LOOKS {
            let text = self.person.page(operation).await?;
            if crate::person::words(&text).contains("taken back") {
                return Ok(());
            }
            tokio::time::sleep(LOOK).await;
        }
        bail!("the import was not taken back in time: {}", crate::person::words(&self.person.page(operation).await?))
    }

    async fn press_when_offered(&self, operation: &str, button: &str) -> Result<()> {
        self.wait_for(operation, button).await?;
        let form = self.person.form(operation, &format!("{operation}/{button}")).await?;
        self.person.submit(form).await?;
        Ok(())
    }

    /// Waits until the page of an operation offers a button.
    async fn wait_for(&self, operation: &str, button: &str) -> Result<()> {
        let action = format!("action=\"{operation}/{button}\"");
        for _ in 0..LOOKS {
            let text = self.person.page(operation).await?;
            if text.contains(&action) {
                return Ok(());
            }
            ensure!(!text.contains("role=\"alert\""), "{operation} failed: {}", crate::person::words(&text));
            tokio::time::sleep(LOOK).await;
        }
        bail!("{operation} never offered to {button}: {}", crate::person::words(&self.person.page(operation).await?))
    }
}
