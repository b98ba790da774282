//! Storage of one's own as a person uses it: the pages that add it, seal copies, send one there and bring one here.

use std::time::Duration;

use anyhow::{Result, bail, ensure};
use control_plane::places::Access;

use crate::person::{OwnServer, words};

/// How often a page is looked at while a copy is on its way, and how many times.
const LOOK: Duration = Duration::from_millis(50);
const LOOKS: usize = 12_000;

impl OwnServer {
    /// Adds a place; the path of its page.
    pub async fn add_place(&self, name: &str, access: &Access) -> Result<String> {
        let (kind, answers): (_, Vec<(&str, &str)>) = match access {
            Access::S3 { endpoint, region, bucket, prefix, key_id, secret } => (
                "s3",
                vec![
                    ("endpoint", endpoint),
                    ("region", region),
                    ("bucket", bucket),
                    ("prefix", prefix),
                    ("key_id", key_id),
                    ("secret", &secret.0),
                ],
            ),
            Access::Webdav { url, user, password } => {
                ("webdav", vec![("url", url), ("user", user), ("password", &password.0)])
            }
        };
        let page = format!("/servers/{}/places/add/{kind}", self.name);
        let form = self.person.form(&page, &page).await?;
        let (at, _) = self.person.submit(form.with(&[("name", name)]).with(&answers)).await?;
        Ok(at.path().to_owned())
    }

    /// Seals copies that go to a place from now on.
    pub async fn seal_copies(&self, place: &str, passphrase: &str) -> Result<()> {
        let form = self.person.form(place, &format!("{place}/passphrase")).await?;
        // A slip is said so, and nothing is sealed with it.
        let slip = [("passphrase", passphrase), ("again", "another passphrase")];
        let refused = self.person.send(form.clone().with(&slip)).await?;
        let (status, said) = (refused.status(), refused.text().await?);
        ensure!(status.is_client_error() && said.contains("This is another one"), "{status}: {}", words(&said));
        ensure!(said.contains("Copies go there open"), "nothing is sealed yet: {}", words(&said));
        self.person.submit(form.with(&[("passphrase", passphrase), ("again", passphrase)])).await?;
        Ok(())
    }

    /// Copies everything to a place and waits until it is there; what the place's page says then.
    pub async fn copy_now(&self, place: &str) -> Result<String> {
        let form = self.person.form(place, &format!("{place}/copies")).await?;
        let (at, _) = self.person.submit(form).await?;
        for _ in 0..LOOKS {
            let text = self.person.page(at.path()).await?;
            if text.contains("A copy of your server lies in your storage") {
                return self.person.page(place).await;
            }
            ensure!(!text.contains("role=\"alert\""), "the copy failed: {}", words(&text));
            tokio::time::sleep(LOOK).await;
        }
        bail!("the copy did not get there in time: {}", words(&self.person.page(at.path()).await?))
    }

    /// Begins to bring an archive here that lies in a place; the path of the operation.
    pub async fn import_from(&self, place: &str, file: &str) -> Result<String> {
        let form = self.person.form(&format!("{place}/archives"), &format!("{place}/imports")).await?;
        let (at, _) = self.person.submit(form.with(&[("file", file)])).await?;
        Ok(at.path().to_owned())
    }
}
