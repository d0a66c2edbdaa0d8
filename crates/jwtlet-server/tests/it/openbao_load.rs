//! What happens to a real OpenBao while exchanges run, and what clients and verifiers may notice of it: every token
//! verifies with the keys that are published when it is issued, and refusals are those of an outage.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use jsonwebtoken::{DecodingKey, Validation, decode, decode_header, jwk::JwkSet};
use jwtlet_testkit::{OpenBao, wait_until};
use reqwest::Method;
use serde_json::{Map, Value, json};
use tempfile::TempDir;
use tokio::task::JoinHandle;

use crate::{
    harness::{Answer, Harness, KEY, PATIENCE},
    openbao::{SIGNER, start},
};

const CLIENTS: usize = 4;

/// jwtlet in front of this OpenBao, with a key and with clients that exchange all the time.
struct Load {
    server: Arc<Harness>,
    stop: Arc<AtomicBool>,
    issued: Arc<AtomicU64>,
    clients: Vec<JoinHandle<Tally>>,
    /// With the file `token`, which has the Vault token.
    files: TempDir,
}

/// What clients saw.
#[derive(Default)]
struct Tally {
    kids: BTreeSet<String>,
    refusals: Vec<Answer>,
}

impl Load {
    async fn start(bao: &OpenBao) -> Self {
        bao.root(Method::POST, &key_path(""), &json!({"type": "ed25519"})).await.unwrap();
        let (server, files) = start(bao, SIGNER).await;
        let (server, stop) = (Arc::new(server), Arc::new(AtomicBool::new(false)));
        let issued = Arc::new(AtomicU64::new(0));
        let clients = (0..CLIENTS)
            .map(|_| tokio::spawn(exchange(Arc::clone(&server), Arc::clone(&stop), Arc::clone(&issued))))
            .collect();
        let load = Self { server, stop, issued, clients, files };
        load.goes_on().await;
        load
    }

    /// Waits until more tokens were issued, which takes no restart of jwtlet.
    async fn goes_on(&self) {
        let enough = self.issued.load(Ordering::Relaxed) + 40;
        wait_until(|| self.issued.load(Ordering::Relaxed) >= enough, PATIENCE).await.unwrap();
    }

    fn token_file(&self) -> PathBuf {
        self.files.path().join("token")
    }

    /// Ends the exchanges; every one is served by then, again.
    async fn finish(self) -> Tally {
        self.goes_on().await;
        self.server.wait_until_ready().await;
        self.stop.store(true, Ordering::Relaxed);
        let mut all = Tally::default();
        for client in self.clients {
            let tally = client.await.unwrap();
            all.kids.extend(tally.kids);
            all.refusals.extend(tally.refusals);
        }
        all
    }
}

impl Tally {
    fn has_no_refusals(&self) {
        assert!(
            self.refusals.is_empty(),
            "{} refusals, the first: {}",
            self.refusals.len(),
            self.refusals[0]
        );
    }

    /// There were refusals, all of them the outages of the contract.
    fn has_outages_only(&self) {
        assert!(!self.refusals.is_empty());
        for answer in &self.refusals {
            answer.assert_refused(503, "temporarily_unavailable");
            let wait: u64 = answer.header("retry-after").unwrap().parse().unwrap();
            assert!((1..=300).contains(&wait), "{answer}");
        }
    }
}

fn key_path(rest: &str) -> String {
    format!("transit/keys/{KEY}{rest}")
}

/// Exchanges until told to stop, and verifies each token with the keys that were published just before or after.
async fn exchange(server: Arc<Harness>, stop: Arc<AtomicBool>, issued: Arc<AtomicU64>) -> Tally {
    let (mut tally, subject_token) = (Tally::default(), server.subject_token());
    while !stop.load(Ordering::Relaxed) {
        let before = published(&server).await;
        let answer = server.exchange_token(&subject_token, &[("resource", "acme")]).await;
        if answer.status == 200 {
            let token = answer.access_token();
            let header = decode_header(&token).unwrap();
            let kid = header.kid.unwrap();
            // A version that was withdrawn meanwhile was published when the exchange began.
            let after = published(&server).await;
            let key = after.find(&kid).or_else(|| before.find(&kid)).unwrap();
            let mut validation = Validation::new(header.alg);
            validation.set_issuer(&[server.issuer()]);
            validation.set_audience(&["data-space"]);
            let claims =
                decode::<Map<String, Value>>(&token, &DecodingKey::from_jwk(key).unwrap(), &validation);
            assert_eq!(claims.unwrap().claims["sub"], "acme");
            tally.kids.insert(kid);
            issued.fetch_add(1, Ordering::Relaxed);
        } else {
            tally.refusals.push(answer);
        }
    }
    tally
}

async fn published(server: &Harness) -> JwkSet {
    serde_json::from_str(&server.get("/.well-known/jwks.json").await.body).unwrap()
}

/// Replaces a file as an agent does: whole, by a rename.
fn replace(file: &Path, content: &str) {
    let next = file.with_extension("next");
    fs::write(&next, content).unwrap();
    fs::rename(next, file).unwrap();
}

#[tokio::test]
async fn versions_that_are_added_retired_and_trimmed_cost_no_exchange() {
    let bao = OpenBao::start().await.unwrap();
    let load = Load::start(&bao).await;
    for version in 2..=4 {
        bao.root(Method::POST, &key_path("/rotate"), &Value::Null).await.unwrap();
        load.goes_on().await;
        let minimum = json!({"min_decryption_version": version, "min_encryption_version": version});
        bao.root(Method::POST, &key_path("/config"), &minimum).await.unwrap();
        load.goes_on().await;
        let trim = json!({"min_available_version": version});
        bao.root(Method::POST, &key_path("/trim"), &trim).await.unwrap();
        load.goes_on().await;
    }
    let kids: Vec<_> =
        published(&load.server).await.keys.into_iter().map(|key| key.common.key_id.unwrap()).collect();
    assert_eq!(kids, [format!("{KEY}-4")]);
    let tally = load.finish().await;
    tally.has_no_refusals();
    assert_eq!(tally.kids, (1..=4).map(|version| format!("{KEY}-{version}")).collect());
}

#[tokio::test]
async fn a_seal_is_an_outage_until_it_is_lifted() {
    let bao = OpenBao::start().await.unwrap();
    let load = Load::start(&bao).await;
    for _ in 0..2 {
        bao.seal().await.unwrap();
        load.server.wait_until_not_ready().await;
        bao.unseal().await.unwrap();
        load.goes_on().await;
    }
    load.finish().await.has_outages_only();
}

#[tokio::test]
async fn a_crash_is_an_outage_until_openbao_is_back() {
    let mut bao = OpenBao::builder().on_disk().start().await.unwrap();
    let load = Load::start(&bao).await;
    for _ in 0..2 {
        bao.kill().unwrap();
        load.server.wait_until_not_ready().await;
        bao.restart().await.unwrap();
        load.goes_on().await;
    }
    load.finish().await.has_outages_only();
}

#[tokio::test]
async fn a_token_that_is_replaced_before_it_is_revoked_costs_no_exchange() {
    let bao = OpenBao::start().await.unwrap();
    let load = Load::start(&bao).await;
    for _ in 0..3 {
        let former = fs::read_to_string(load.token_file()).unwrap();
        replace(&load.token_file(), &bao.create_token(SIGNER).await.unwrap());
        bao.revoke_token(&former).await.unwrap();
        load.goes_on().await;
    }
    load.finish().await.has_no_refusals();
}

#[tokio::test]
async fn a_token_that_is_revoked_is_an_operators_matter_until_the_file_has_another() {
    let bao = OpenBao::start().await.unwrap();
    let load = Load::start(&bao).await;
    bao.revoke_token(&fs::read_to_string(load.token_file()).unwrap()).await.unwrap();
    load.server.wait_until_not_ready().await;
    replace(&load.token_file(), &bao.create_token(SIGNER).await.unwrap());
    let tally = load.finish().await;
    assert!(!tally.refusals.is_empty());
    for answer in &tally.refusals {
        answer.assert_refused(500, "server_error");
    }
}

#[tokio::test]
async fn a_quota_is_an_outage_with_the_time_that_openbao_says_until_it_is_lifted() {
    let bao = OpenBao::start().await.unwrap();
    let load = Load::start(&bao).await;
    let headers = json!({"enable_rate_limit_response_headers": true});
    bao.root(Method::POST, "sys/quotas/config", &headers).await.unwrap();
    let quota = json!({"path": "transit/", "rate": 5, "interval": "60s"});
    bao.root(Method::POST, "sys/quotas/rate-limit/signing", &quota).await.unwrap();
    load.server.wait_until_not_ready().await;
    bao.root(Method::DELETE, "sys/quotas/rate-limit/signing", &Value::Null).await.unwrap();
    let tally = load.finish().await;
    tally.has_outages_only();
    let asked = |answer: &Answer| answer.header("retry-after").unwrap().parse::<u64>().unwrap();
    assert!(tally.refusals.iter().any(|answer| asked(answer) > 30), "{}", tally.refusals[0]);
}
