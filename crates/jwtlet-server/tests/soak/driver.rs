//! Alternates healthy and disturbed phases.

use std::{sync::Arc, time::Duration};

use jiff::{SignedDuration, Timestamp};
use jwtlet_testkit::TokenPolicy;
use tokio::time::{Instant, sleep};

use crate::{
    faults::{self, Bad, kubernetes_words, vault_words},
    ledger::{Ledger, Phase},
    random::Random,
    world::{KEY, World},
};

/// Older than `publish_before_sign`, younger than what makes a superseded version disappear.
const OLD_ENOUGH: SignedDuration = SignedDuration::from_secs(650);

pub(crate) struct Driver {
    world: Arc<World>,
    ledger: Arc<Ledger>,
    random: Random,
    round: usize,
}

impl Driver {
    pub(crate) fn new(world: Arc<World>, ledger: Arc<Ledger>, random: Random) -> Self {
        Self { world, ledger, random, round: 0 }
    }

    /// Ends with a healthy phase, after at least this time.
    pub(crate) async fn run(mut self, length: Duration) {
        let end = Instant::now() + length;
        while Instant::now() < end {
            self.round += 1;
            self.healthy().await;
            self.disturbed().await;
        }
        self.round += 1;
        self.healthy().await;
    }

    /// Both systems are well; what happens here, an operator may do at any time.
    async fn healthy(&mut self) {
        self.enter("healthy", true, false);
        for _ in 0..3 {
            match self.random.below(6) {
                0 => self.rotate(),
                1 => self.age(),
                2 => self.retire(),
                3 => self.hand_vault_token_over(),
                _ => {}
            }
            sleep(self.random.millis(100, 400)).await;
        }
    }

    async fn disturbed(&mut self) {
        if self.random.one_in(6) {
            self.lose_credentials().await;
        } else {
            self.fail().await;
        }
        self.world.kubernetes.faults().clear();
        self.world.vault.faults().clear();
        self.world.vault.clear_hooks();
        self.world.vault.seal(false);
        self.world.wait_until_ready().await;
    }

    /// One of the systems fails, or both.
    async fn fail(&mut self) {
        let which = self.random.below(3);
        let kubernetes = (which != 0).then(|| self.random.pick(faults::KUBERNETES));
        let vault = (which != 1).then(|| self.random.pick(faults::VAULT));
        let refuses = [kubernetes, vault].iter().flatten().any(|bad| bad.refuses_jwtlet());
        self.enter(&format!("Kubernetes: {kubernetes:?}, Vault: {vault:?}"), false, refuses);
        if let Some(bad) = kubernetes {
            bad.apply(self.world.kubernetes.faults(), &mut self.random, kubernetes_words);
        }
        if let Some(bad) = vault {
            bad.apply(self.world.vault.faults(), &mut self.random, vault_words);
            match bad {
                Bad::Seal => self.world.vault.seal(true),
                Bad::Muddle(muddle) => muddle.apply(&self.world.vault),
                _ => {}
            }
        }
        if matches!(kubernetes, Some(Bad::Restart)) {
            self.world.kubernetes.stop().await;
        }
        if matches!(vault, Some(Bad::Restart)) {
            self.world.vault.stop().await;
        }
        sleep(self.random.millis(50, 700)).await;
        if self.random.one_in(3) {
            self.rotate();
        }
        sleep(self.random.millis(50, 700)).await;
        if matches!(kubernetes, Some(Bad::Restart)) {
            self.world.kubernetes.restart().await.unwrap();
            self.ledger.note("restarts");
        }
        if matches!(vault, Some(Bad::Restart)) {
            self.world.vault.restart().await.unwrap();
            self.ledger.note("restarts");
        }
    }

    /// A credential dies before its successor is there.
    async fn lose_credentials(&mut self) {
        let (reviewer, vault) = (self.random.one_in(2), self.random.one_in(2));
        self.enter(&format!("credentials: reviewer {reviewer}, Vault {}", vault || !reviewer), false, true);
        let reviewer_token = reviewer.then(|| self.world.kubernetes.rotate_reviewer_token());
        let vault_token =
            (vault || !reviewer).then(|| self.world.vault.create_token(&TokenPolicy::signer(KEY)));
        if vault_token.is_some() {
            self.world.vault.revoke_token(&self.world.vault_token());
        }
        sleep(self.random.millis(1, 600)).await;
        if let Some(token) = reviewer_token {
            self.world.replace_reviewer_token(&token);
        }
        if let Some(token) = vault_token {
            self.world.replace_vault_token(&token);
        }
        self.ledger.note("credential losses");
    }

    /// A successor is in place before the Vault token dies, as an agent does it.
    fn hand_vault_token_over(&self) {
        let former = self.world.vault_token();
        self.world.replace_vault_token(&self.world.vault.create_token(&TokenPolicy::signer(KEY)));
        self.world.vault.revoke_token(&former);
        self.ledger.note("Vault tokens handed over");
    }

    fn rotate(&self) {
        self.world.vault.rotate_key(KEY).unwrap();
        self.ledger.note("rotations");
    }

    /// The newest version becomes old enough to sign.
    fn age(&self) {
        let latest = self.world.vault.latest_version(KEY).unwrap();
        self.world.vault.set_creation_time(KEY, latest, now() - OLD_ENOUGH).unwrap();
        self.ledger.note("versions aged");
    }

    /// Emergency: every version but the newest is withdrawn.
    fn retire(&self) {
        let latest = self.world.vault.rotate_key(KEY).unwrap();
        self.ledger.retire();
        self.world.vault.set_min_decryption_version(KEY, latest).unwrap();
        self.ledger.note("emergency retirements");
    }

    fn enter(&self, what: &str, healthy: bool, refuses_jwtlet: bool) {
        let what = format!("round {}, {what}", self.round);
        self.ledger.enter(Phase { what, healthy, refuses_jwtlet });
    }
}

#[expect(clippy::disallowed_methods, reason = "ages are told to the fake Vault, which has the real clock")]
fn now() -> Timestamp {
    Timestamp::now()
}
