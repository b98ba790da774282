//! Domains that come with an archive: wishes, until their owner has each of them proved here (SPEC.md 7.3). Those that come
//! with a move are looked up at once, for their owner has agreed to that; nothing less is asked of their DNS. And what an
//! archive that leaves tells of those there are.

use tenant_runtime::admin::api::{DomainSaid, DomainsHanded};
use tenant_runtime::ids::ServerId;

use super::store::{self, Kept};
use super::{Came, DomainName, Role, State, fresh};
use crate::{Actor, ControlPlane, Result, business};

/// So many wishes of one archive are kept.
const MOST: usize = 100;

/// What is handed over for an archive.
pub(crate) async fn handed(plane: &ControlPlane, server: ServerId) -> Result<DomainsHanded> {
    let (removed, kept): (Vec<_>, Vec<_>) =
        store::of_server(plane.db(), server).await?.into_iter().partition(|kept| kept.state == State::Removed);
    let said = |kept: Kept| DomainSaid {
        name: kept.name.to_string(),
        role: kept.role.word().to_owned(),
        app: kept.app.filter(|_| kept.role == Role::App),
    };
    Ok(DomainsHanded {
        kept: kept.into_iter().map(said).collect(),
        removed: removed.into_iter().map(|kept| kept.name.to_string()).collect(),
    })
}

/// Keeps what an archive brought as wishes. What is set up here already stays as it is, and what nobody here can have is
/// passed over. `key` is that of the server that handed over, where there was a move. Once more is the same as once.
pub(crate) async fn keep(
    plane: &ControlPlane,
    server: ServerId,
    said: &[DomainSaid],
    came: Came,
    key: Option<&str>,
) -> Result<()> {
    let business = business::business(plane).await?;
    let own = [&business.sites_domain, &plane.settings().public.host];
    let before = store::of_server(plane.db(), server).await?;
    let now = plane.now();
    let is_in_use = |state: State| state.is_served() || state == State::Proving;
    // Who moves has agreed to it on both sides: as far as the plan goes, the proof of what moves is looked for at once.
    let (mut room, did) = match came {
        Came::Import => (0, None),
        Came::Move => {
            let most = super::limit(plane, &Actor::System, server).await? as usize;
            let has = before.iter().filter(|kept| is_in_use(kept.state)).count();
            (most.saturating_sub(has), super::own_key(plane, server).await)
        }
    };
    let has_primary = before.iter().any(|kept| kept.role == Role::Primary && is_in_use(kept.state));
    let mut tx = plane.db().begin().await?;
    for said in said.iter().take(MOST) {
        let Ok(name) = DomainName::parse(&said.name) else { continue };
        let known = before.iter().find(|kept| kept.name == name).map(|kept| kept.state);
        if known.is_some_and(is_in_use) || own.iter().any(|own| name.is_kin(own)) {
            continue;
        }
        let role = match said.role.parse().unwrap_or(Role::Alias) {
            // The address that the server goes by already is not taken from it.
            Role::Primary if has_primary => Role::Alias,
            role => role,
        };
        let wish = Kept {
            role,
            app: said.app.clone().filter(|_| role == Role::App),
            former_did: key.map(str::to_owned),
            came: Some(came),
            did: did.clone(),
            next: (room > 0).then_some(now),
            ..fresh(server, name, if room > 0 { State::Proving } else { State::Wanted }, now)
        };
        room = room.saturating_sub(1);
        store::put(&mut tx, &wish).await?;
    }
    tx.commit().await?;
    plane.attend(server);
    plane.note_change();
    Ok(())
}
