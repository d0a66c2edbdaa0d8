//! The testkit's Kubernetes and Vault as a process of their own.

use std::{num::NonZero, thread, time::Duration};

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
    pub(crate) latency_ms: u64,
    /// How many service accounts there are.
    #[arg(long)]
    pub(crate) clients: usize,
    /// How many subject tokens to make; service accounts take turns.
    #[arg(long)]
    pub(crate) tokens: usize,
    /// The type of the signing key, as Vault calls it.
    #[arg(long)]
    pub(crate) key: KeyType,
}

/// What a server and its clients need to know of them.
#[derive(Serialize, Deserialize)]
pub(crate) struct Neighbours {
    pub(crate) kubernetes_url: String,
    pub(crate) cluster_issuer: String,
    pub(crate) reviewer_token: String,
    pub(crate) operator_token: String,
    pub(crate) subject_tokens: Vec<String>,
    /// It was good until an hour ago.
    pub(crate) expired_token: String,
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

impl Counters {
    /// What a call to Vault asked for, on average; 1 where nobody counted.
    pub(crate) fn signatures_per_call(&self) -> usize {
        let average = self.signatures.checked_div(self.vault_calls).unwrap_or(1);
        usize::try_from(average).unwrap_or(1).max(1)
    }
}

/// Serves until the input ends.
pub(crate) async fn serve(options: Options) -> Result<(), BenchError> {
    let kubernetes = Kubernetes::start().await?;
    let vault = Vault::start().await?;
    vault.create_key(KEY, options.key)?;
    kubernetes.create_service_account(NAMESPACE, OPERATOR);
    for index in 0..options.clients {
        kubernetes.create_service_account(NAMESPACE, &client_name(index));
    }
    let expired = kubernetes.token(NAMESPACE, &client_name(0)).audience(EXCHANGE_AUDIENCE).expires_in(-3600);
    tell(&Neighbours {
        kubernetes_url: kubernetes.url(),
        cluster_issuer: kubernetes.issuer().to_owned(),
        reviewer_token: kubernetes.reviewer_token(),
        operator_token: kubernetes.token(NAMESPACE, OPERATOR).audience(MANAGEMENT_AUDIENCE).mint(),
        subject_tokens: mint(&kubernetes, &options),
        expired_token: expired.mint(),
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

/// The subject tokens, made by all CPUs: each takes an RSA signature.
fn mint(kubernetes: &Kubernetes, options: &Options) -> Vec<String> {
    let makers = thread::available_parallelism().map_or(1, NonZero::get);
    let share = options.tokens.div_ceil(makers).max(1);
    let subject_token = |index: usize| {
        let name = client_name(index.checked_rem(options.clients).unwrap_or_default());
        kubernetes.token(NAMESPACE, &name).audience(EXCHANGE_AUDIENCE).mint()
    };
    let mut tokens = vec![String::new(); options.tokens];
    thread::scope(|scope| {
        for (part, tokens) in tokens.chunks_mut(share).enumerate() {
            scope.spawn(move || {
                tokens
                    .iter_mut()
                    .zip(part * share..)
                    .for_each(|(token, index)| *token = subject_token(index));
            });
        }
    });
    tokens
}

/// The process, seen from the benchmark.
pub(crate) struct Fakes {
    helper: Helper,
    pub(crate) neighbours: Neighbours,
}

impl Fakes {
    pub(crate) async fn start(options: Options) -> Result<Self, BenchError> {
        let Options { latency_ms, clients, tokens, key } = options;
        let arguments = [
            format!("--latency-ms={latency_ms}"),
            format!("--clients={clients}"),
            format!("--tokens={tokens}"),
            format!("--key={key}"),
        ];
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
