//! Everybody that a row needs: neighbours, database, and a server that is ready and knows its policy.

use std::time::Duration;

use tokio::process::Command;

use crate::{
    database::Database,
    environment,
    error::BenchError,
    fakes::{self, Fakes},
    scenario::{Scenario, Setup},
    server::{Policy, Server},
    signer::Signer,
};

/// They all end when this is dropped.
pub(crate) struct World {
    pub(crate) server: Server,
    pub(crate) signer: Signer,
    pub(crate) fakes: Fakes,
    _database: Database,
}

impl World {
    /// Starts all of them. The command is that of the server, and `patience` how long it may take to become ready.
    pub(crate) async fn start(
        scenario: &Scenario,
        setup: &Setup,
        command: Command,
        patience: Duration,
    ) -> Result<Self, BenchError> {
        let Scenario { clients, tokens, .. } = *scenario;
        let options = fakes::Options { latency_ms: setup.latency_ms, clients, tokens, key: setup.key };
        let fakes = Fakes::start(options).await?;
        let signer = Signer::start(setup.vault, &fakes.neighbours).await?;
        let database = Database::start(setup.storage).await?;
        let server =
            Server::start(command, patience, &fakes.neighbours, &signer, setup.tuning, &database).await?;
        let others = database.fill(setup.others).await?;
        let policy = Policy { clients, others, scopes: environment::scopes(scenario.scopes) };
        server.seed(&fakes.neighbours, &policy).await?;
        Ok(Self { server, signer, fakes, _database: database })
    }
}
