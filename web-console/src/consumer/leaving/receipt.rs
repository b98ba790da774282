//! The signed receipt for what was left here and is erased: on the page of the move, and as two files.

use axum::extract::Path;
use axum::http::header;
use axum::response::IntoResponse as _;
use control_plane::moves::{leaving, provider};
use control_plane::servers::Server;
use control_plane::{Error, Kind};
use export_format::moving::{Deletion, Signed};

use super::super::own_server;
use crate::page::Answer;
use crate::parts::Fact;
use crate::refusal::Refusal;
use crate::show::{self, Amount, Count};
use crate::visit::Visit;

/// What the page of a move says of it.
pub(super) struct Receipt {
    pub(super) facts: Vec<Fact>,
    pub(super) limits: Vec<String>,
    /// What a stranger types to check it.
    pub(super) check: String,
}

impl Receipt {
    pub(super) async fn of(visit: &Visit, server: &Server) -> Result<Option<Self>, Error> {
        let plane = visit.console.plane();
        let Some(signed) = leaving::receipt(plane, &visit.actor, server.id).await? else { return Ok(None) };
        let said = Deletion::open(&signed).map_err(Error::bug)?;
        let about = provider(plane).await?;
        let host = about.origin.split_once("://").map_or(about.origin.as_str(), |(_, host)| host);
        let key = about.key.unwrap_or_default();
        Ok(Some(Self {
            facts: vec![
                Fact::new("Erased", format!("{} objects, {}", Count(said.erased.objects), Amount(said.erased.bytes)))
                    .noted("as counted before the first of it was deleted"),
                Fact::html("Nothing is left since", show::both(said.erased.done)).noted("its history included"),
                Fact::new("Server", &said.server.address).noted(said.server.did),
            ],
            limits: said.limits,
            check: format!(
                "echo \"{host} {key}\" > provider.txt\nssh-keygen -Y verify -f provider.txt -I {host} -n pcc-move@v1 -s receipt.json.sig < receipt.json"
            ),
        }))
    }
}

/// `GET /servers/{name}/moving/receipt.json`: the text that was signed, to the letter.
pub(in crate::consumer) async fn receipt(visit: Visit, Path(name): Path<String>) -> Answer {
    file(&visit, &name, "receipt.json", "application/json", |signed| signed.document).await
}

/// `GET /servers/{name}/moving/receipt.json.sig`: the signature over it.
pub(in crate::consumer) async fn receipt_signature(visit: Visit, Path(name): Path<String>) -> Answer {
    file(&visit, &name, "receipt.json.sig", "text/plain; charset=utf-8", |signed| signed.signature).await
}

async fn file(visit: &Visit, name: &str, file: &str, kind: &'static str, part: fn(Signed) -> String) -> Answer {
    let server = own_server(visit, name).await?;
    let signed = leaving::receipt(visit.console.plane(), &visit.actor, server.id).await?;
    let none = || Error::new(Kind::Gone, "There is no receipt: what is left here of this server is not erased.");
    let signed = signed.ok_or_else(|| Refusal::of(none()))?;
    let headers = [
        (header::CONTENT_TYPE, kind.to_owned()),
        (header::CONTENT_DISPOSITION, format!("attachment; filename=\"{file}\"")),
    ];
    Ok((headers, part(signed)).into_response())
}
