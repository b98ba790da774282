//! The pages of who runs the business: what needs them, and what is seen against what is wanted.

mod customers;
mod drills;
mod hosts;
mod invoices;
mod listing;
mod moves;
mod operations;
mod outbox;
mod overview;
mod plan_form;
mod plans;
mod servers;
pub(crate) mod setup;
mod usage;

use crate::doors::Doors;
use crate::doors::Who::{Anybody, Operator};

/// The doors of this audience.
pub(crate) fn doors(doors: Doors) -> Doors {
    doors
        .get("/setup", Anybody, setup::show)
        .post("/setup", Anybody, setup::send)
        .get("/operator", Operator, overview::show)
        .get("/operator/customers", Operator, customers::list)
        .get("/operator/customers/{account}", Operator, customers::one)
        .get("/operator/servers", Operator, servers::list)
        .get("/operator/usage", Operator, usage::show)
        .get("/operator/hosts", Operator, hosts::list)
        .get("/operator/operations", Operator, operations::list)
        .get("/operator/operations/{operation}", Operator, operations::one)
        .get("/operator/drills", Operator, drills::list)
        .get("/operator/moves", Operator, moves::list)
        .get("/operator/invoices", Operator, invoices::list)
        .get("/operator/invoices/{invoice}/paid", Operator, invoices::ask_paid)
        .post("/operator/invoices/{invoice}/paid", Operator, invoices::paid)
        .get("/operator/invoices/{invoice}/void", Operator, invoices::ask_void)
        .post("/operator/invoices/{invoice}/void", Operator, invoices::void)
        .get("/operator/plans", Operator, plans::list)
        .post("/operator/plans", Operator, plans::add)
        .post("/operator/plans/{plan}", Operator, plans::change)
        .post("/operator/plans/{plan}/offer", Operator, plans::offer)
        .post("/operator/plans/{plan}/withdraw", Operator, plans::withdraw)
        .get("/operator/outbox", Operator, outbox::list)
        .get("/operator/outbox/{letter}", Operator, outbox::one)
}
