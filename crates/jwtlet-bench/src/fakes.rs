//! The testkit's Kubernetes and Vault as a process of their own.

use std::time::Duration;

use jwtlet_testkit::{KeyType, Kubernetes, TokenPolicy, Vault};
use serde::{Deserialize, Serialize};

use crate::{
    environment::{EXCHANGE_AUDIENCE, KEY, MANAGEMENT_AUDIENCE, NAMESPACE, OPERATOR, client_name},
    error::BenchError,
    helper::{Helper, tell, told},
};

/// How the fakes run.
#[derive(clap::Args, Clone, Copy)]
pub(crate) struct Options {
    /// How long each call of either waits before it is handled.
    #[arg(long)]
    latency_ms: u64,
    /// How many subject tokens to make, each of another service account.
    #[arg(long)]
    tokens: usize,
}

/// What a server and its clients need to know of them.
#[derive(Serialize, Deserialize)]
pub(crate) struct Neighbours {
    pub(crate) kubernetes_url: String,
    pub(crate) cluster_issuer: String,
    pub(crate) reviewer_token: String,
    pub(crate) operator_token: String,
    pub(crate) subject_tokens: Vec<String>,
    pub(crate) vault_url: String,
    pub(crate) vault_token: String,
}

/// What they were asked so far.
#[derive(Serialize, Deserialize, Clone, Copy)]
pub(crate) struct Counters {
    pub(crate) reviews: u64,
    pub(crate) vault_calls: u64,
    pub(crate) signatures: u64,
}

/// Serves until the input ends.
pub(crate) async fn serve(options: Options) -> Result<(), BenchError> {
    let kubernetes = Kubernetes::start().await?;
    let vault = Vault::start().await?;
    vault.create_key(KEY, KeyType::Ed25519)?;
    kubernetes.create_service_account(NAMESPACE, OPERATOR);
    let subject_token = |index| {
        let name = client_name(index);
        kubernetes.create_service_account(NAMESPACE, &name);
        kubernetes.token(NAMESPACE, &name).audience(EXCHANGE_AUDIENCE).mint()
    };
    tell(&Neighbours {
        kubernetes_url: kubernetes.url(),
        cluster_issuer: kubernetes.issuer().to_owned(),
        reviewer_token: kubernetes.reviewer_token(),
        operator_token: kubernetes.token(NAMESPACE, OPERATOR).audience(MANAGEMENT_AUDIENCE).mint(),
        subject_tokens: (0..options.tokens).map(subject_token).collect(),
        vault_url: vault.url(),
        vault_token: vault.create_token(&TokenPolicy::signer(KEY)),
    })?;
    let latency = Duration::from_millis(options.latency_ms);
    kubernetes.faults().set_latency(latency);
    vault.faults().set_latency(latency);

    let mut lines = told();
    while let Ok(Some(_)) = lines.next_line().await {
        tell(&Counters {
            reviews: kubernetes.reviews(),
            vault_calls: vault.calls(),
            signatures: vault.signatures(),
        })?;
    }
    Ok(())
}

/// The process, seen from the benchmark.
pub(crate) struct Fakes {
    helper: Helper,
    pub(crate) neighbours: Neighbours,
}

impl Fakes {
    pub(crate) async fn start(latency_ms: u64, tokens: usize) -> Result<Self, BenchError> {
        let arguments = [format!("--latency-ms={latency_ms}"), format!("--tokens={tokens}")];
        let (helper, neighbours) = Helper::start("fakes", &arguments).await?;
        Ok(Self { helper, neighbours })
    }

    pub(crate) async fn counters(&mut self) -> Result<Counters, BenchError> {
        self.helper.ask("counters").await
    }

    pub(crate) fn process_id(&self) -> Result<u32, BenchError> {
        self.helper.process_id()
    }
}
