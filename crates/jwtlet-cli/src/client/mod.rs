//! How the servers are called.
//!
//! `Endpoint` sends one request to one port. `ManagementClient` and `ExchangeClient` know the calls of the two
//! APIs; `failure` turns what is not the wanted answer into an `Error` that says what to do. Answers stay
//! JSON values: a newer server may say more than this command knows, and that is to be shown, not lost.

mod endpoint;
mod exchange;
mod failure;
mod management;

pub(crate) use self::{
    endpoint::{Call, Endpoint, Reply},
    exchange::{ExchangeClient, ExchangeRequest},
    failure::{date, is_other_port},
    management::{Applied, Listed, ManagementClient, path},
};
