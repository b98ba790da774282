//! The installed apps, in memory: which label is which app.
//!
//! Every request to an app's origin asks this first, so it may not cost a database read. It is read again whenever
//! apps change and when the home's content is exchanged.

use std::collections::HashMap;
use std::sync::Arc;

use export_format::AppId;
use parking_lot::RwLock;
use tokio::sync::watch;

use crate::apps::{self, AppRecord, Manifest};
use crate::permissions::{self, Permission, Status};
use crate::problem::Problem;
use crate::store::Home;

/// One installed app, ready to serve.
#[derive(Debug)]
pub struct Installed {
    /// What is known of it.
    pub record: AppRecord,
    /// What it says about itself.
    pub manifest: Manifest,
}

impl Installed {
    fn is_withdrawn(&self) -> bool {
        self.record.keeping.revoked.as_ref().is_some_and(|revoked| revoked.version == self.record.version)
    }
}

#[derive(Default)]
struct Known {
    by_label: HashMap<String, Arc<Installed>>,
    by_id: HashMap<AppId, Arc<Installed>>,
    /// Apps whose version was withdrawn: nothing of them is served.
    withdrawn: HashMap<String, Arc<Installed>>,
    permissions: Vec<Permission>,
}

/// All installed apps and what they may do.
#[derive(Default)]
pub struct Registry {
    known: RwLock<Known>,
    revised: watch::Sender<()>,
}

impl Registry {
    /// Reads the apps anew.
    pub async fn refresh(&self, home: &Home) -> Result<(), Problem> {
        let (records, permissions) =
            home.read(|db| Ok::<_, Problem>((apps::list(db)?, permissions::list(db)?))).await?;
        let mut known = Known { permissions, ..Known::default() };
        for record in records.into_iter().filter(|record| record.removed.is_none()) {
            let manifest = Manifest::read(&record.manifest);
            let app = Arc::new(Installed { record, manifest });
            if app.is_withdrawn() {
                known.withdrawn.insert(app.record.label.clone(), app);
                continue;
            }
            known.by_label.insert(app.record.label.clone(), Arc::clone(&app));
            known.by_id.insert(app.record.id.clone(), app);
        }
        *self.known.write() = known;
        self.revised.send_replace(());
        Ok(())
    }

    /// Tells whenever the apps or what they may do were read anew.
    #[must_use]
    pub fn revisions(&self) -> watch::Receiver<()> {
        self.revised.subscribe()
    }

    /// The app on an origin.
    #[must_use]
    pub fn at_label(&self, label: &str) -> Option<Arc<Installed>> {
        self.known.read().by_label.get(label).cloned()
    }

    /// The app of a label whose version was withdrawn.
    #[must_use]
    pub fn withdrawn(&self, label: &str) -> Option<Arc<Installed>> {
        self.known.read().withdrawn.get(label).cloned()
    }

    /// What the owner should be told of apps: updates that failed, versions that were withdrawn. By name.
    #[must_use]
    pub fn notices(&self) -> Vec<(String, String)> {
        let known = self.known.read();
        let all = known.by_id.values().chain(known.withdrawn.values());
        let mut all: Vec<_> = all.filter_map(|app| Some((app.record.name.clone(), app.record.notice()?))).collect();
        all.sort();
        all
    }

    /// The app of an id.
    #[must_use]
    pub fn get(&self, id: &AppId) -> Option<Arc<Installed>> {
        self.known.read().by_id.get(id).cloned()
    }

    /// The app whose table a text names: the one with the longest name that fits.
    #[must_use]
    pub fn owner_of(&self, table: &str) -> Option<AppId> {
        let known = self.known.read();
        let fits =
            |id: &&AppId| table.strip_prefix(id.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
        known.by_id.keys().filter(fits).max_by_key(|id| id.as_str().len()).cloned()
    }

    /// All apps, by name.
    #[must_use]
    pub fn all(&self) -> Vec<Arc<Installed>> {
        let mut all: Vec<_> = self.known.read().by_id.values().cloned().collect();
        all.sort_by_cached_key(|app| app.record.name.to_lowercase());
        all
    }

    /// Everything one app asked for.
    #[must_use]
    pub fn asked_by(&self, app: &AppId) -> Vec<Permission> {
        self.known.read().permissions.iter().filter(|permission| permission.app == *app).cloned().collect()
    }

    /// What installed apps ask for and the owner has not answered.
    #[must_use]
    pub fn unanswered(&self) -> Vec<Permission> {
        let known = self.known.read();
        let open = |p: &&Permission| p.status == Status::Pending && known.by_id.contains_key(&p.app);
        known.permissions.iter().filter(open).cloned().collect()
    }

    /// Whether what an app shared by a permission is shown at this moment.
    #[must_use]
    pub(crate) fn counts(&self, app: &AppId, permission: &str) -> bool {
        let known = self.known.read();
        let is_it = |p: &&Permission| p.app == *app && p.name == permission && crate::sharing::stands(p);
        known.by_id.contains_key(app) && known.permissions.iter().any(|p| is_it(&p))
    }

    /// Whether an app may show its public files at its own address.
    #[must_use]
    pub(crate) fn publishes(&self, app: &AppId) -> bool {
        self.is_allowed(app, "upload_pages")
    }

    /// Whether the pages of an app may ask other computers for something.
    #[must_use]
    pub(crate) fn may_fetch(&self, app: &AppId) -> bool {
        self.is_allowed(app, "external_fetch")
    }

    fn is_allowed(&self, app: &AppId, kind: &str) -> bool {
        let known = self.known.read();
        let granted = |p: &Permission| p.app == *app && p.status == Status::Granted && p.kind == kind;
        known.permissions.iter().any(granted)
    }

    /// The app that may show its public files at the server's own address.
    #[must_use]
    pub fn at_home_address(&self) -> Option<AppId> {
        let known = self.known.read();
        let granted = |p: &&Permission| {
            p.kind == "use_home_address" && p.status == Status::Granted && known.by_id.contains_key(&p.app)
        };
        known.permissions.iter().filter(granted).max_by_key(|p| p.decided).map(|p| p.app.clone())
    }
}
