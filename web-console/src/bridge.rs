//! Holds the place of the control plane's operations until they land.
use axum::body::Body;
use axum::http::HeaderMap;
use axum::response::Response;
use control_plane::operations::{Operation, OperationId};
use control_plane::{Actor, Error};
use tenant_runtime::ids::ServerId;

pub(crate) struct Operations;

fn soon<T>() -> Result<T, Error> {
    Err(Error::retry("Exports and imports are not there yet."))
}

impl Operations {
    pub(crate) async fn start_export(&self, _: &Actor, _: ServerId, _: Option<String>) -> Result<Operation, Error> { soon() }
    pub(crate) async fn export_download(&self, _: &Actor, _: OperationId, _: &HeaderMap) -> Result<Response, Error> { soon() }
    pub(crate) async fn start_import(&self, _: &Actor, _: ServerId, _: u64) -> Result<Operation, Error> { soon() }
    pub(crate) async fn import_upload(&self, _: &Actor, _: OperationId, _: u64, _: Body) -> Result<u64, Error> { soon() }
    pub(crate) async fn import_whole(&self, _: &Actor, _: ServerId, _: u64, _: Body) -> Result<Operation, Error> { soon() }
    pub(crate) async fn confirm_import(&self, _: &Actor, _: OperationId) -> Result<Operation, Error> { soon() }
    pub(crate) async fn undo_import(&self, _: &Actor, _: OperationId) -> Result<Operation, Error> { soon() }
    pub(crate) async fn end(&self, _: &Actor, _: OperationId) -> Result<Operation, Error> { soon() }
    pub(crate) async fn operation(&self, _: &Actor, _: OperationId) -> Result<Operation, Error> { soon() }
    pub(crate) async fn of_server(&self, _: &Actor, _: ServerId) -> Result<Vec<Operation>, Error> { Ok(Vec::new()) }
    pub(crate) async fn all(&self, _: &Actor) -> Result<Vec<Operation>, Error> { Ok(Vec::new()) }
}
