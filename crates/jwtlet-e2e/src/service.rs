//! The jwtlet that is tested, as a client sees it.

use std::{collections::BTreeSet, time::Duration};

use form_urlencoded::Serializer;
use jsonwebtoken::jwk::JwkSet;
use jwtlet_core::upstream::chain;
use reqwest::{Client, RequestBuilder, StatusCode, header};
use serde_json::Value;
use tokio::time::{Instant, sleep};

use crate::{failure::Failure, settings::Settings, token::Issued};

const TIME_LIMIT: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(100);
/// So many answers in a row have to say the same: each replica has keys and connections of its own.
const IN_A_ROW: u32 = 10;

/// A running jwtlet.
pub(crate) struct Service {
    pub(crate) settings: Settings,
    http: Client,
}

/// An answer of jwtlet.
pub(crate) struct Answer {
    what: String,
    pub(crate) status: StatusCode,
    pub(crate) cache_control: Option<String>,
    pub(crate) body: String,
}

impl Service {
    pub(crate) fn new(settings: Settings) -> Result<Self, Failure> {
        // A new connection each time, so that a Service of Kubernetes chooses anew.
        #[expect(
            clippy::disallowed_methods,
            reason = "a test client, which talks to the service that is tested alone"
        )]
        let http = Client::builder()
            .no_proxy()
            .pool_max_idle_per_host(0)
            .timeout(TIME_LIMIT)
            .tls_certs_only([])
            .build()?;
        Ok(Self { settings, http })
    }

    /// Sends an exchange for this context, with further parameters.
    pub(crate) async fn exchange(
        &self,
        subject_token: &str,
        context: &str,
        further: &[(&str, &str)],
    ) -> Result<Answer, Failure> {
        let form = Serializer::new(String::new())
            .append_pair("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange")
            .append_pair("subject_token_type", "urn:ietf:params:oauth:token-type:jwt")
            .append_pair("subject_token", subject_token)
            .append_pair("resource", context)
            .extend_pairs(further)
            .finish();
        let request = self.http.post(format!("{}/token", self.settings.exchange_url)).body(form);
        let request = request.header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        Self::send(format!("the exchange for {context}"), request).await
    }

    /// Exchanges, expects success, and verifies the issued token as another service would.
    pub(crate) async fn issue(&self, context: &str, further: &[(&str, &str)]) -> Result<Issued, Failure> {
        let subject_token = self.settings.subject_token.run().await?;
        let answer = self.exchange(&subject_token, context, further).await?.expect(StatusCode::OK, "200")?;
        Issued::read(&answer.json())
    }

    /// The keys, from the place that discovery names. Its host may be known inside the cluster only.
    pub(crate) async fn keys(&self) -> Result<JwkSet, Failure> {
        let discovery = self.get("/.well-known/openid-configuration").await?.json();
        let url = discovery["jwks_uri"].as_str().unwrap_or_default();
        let Some(path) = url.strip_prefix(&*self.settings.issuer) else {
            return Err(Failure::Broken(format!("jwks_uri {url:?} is not below the issuer")));
        };
        let keys = self.get(path).await?;
        serde_json::from_str(&keys.body)
            .map_err(|_| Failure::Broken(format!("these are no keys: {}", keys.body)))
    }

    /// The names of the published keys.
    pub(crate) async fn key_ids(&self) -> Result<BTreeSet<String>, Failure> {
        Ok(self.keys().await?.keys.into_iter().filter_map(|key| key.common.key_id).collect())
    }

    /// Asks the exchange API and expects 200.
    async fn get(&self, path: &str) -> Result<Answer, Failure> {
        let request = self.http.get(format!("{}{path}", self.settings.exchange_url));
        Self::send(format!("GET {path}"), request).await?.expect(StatusCode::OK, "200")
    }

    /// Waits until jwtlet says that an exchange would work.
    pub(crate) async fn wait_until_ready(&self, seconds: u64) -> Result<(), Failure> {
        self.wait("it is not ready", seconds, async || match self.get("/readyz").await {
            Ok(_) => Ok(None),
            Err(error) => Ok(Some(chain(&error))),
        })
        .await
    }

    /// Waits until what is asked says nothing against it any more, several times in a row.
    pub(crate) async fn wait(
        &self,
        what: &'static str,
        seconds: u64,
        objection: impl AsyncFn() -> Result<Option<String>, Failure>,
    ) -> Result<(), Failure> {
        let deadline = Instant::now() + Duration::from_secs(seconds);
        let mut in_a_row = 0;
        while in_a_row < IN_A_ROW {
            match objection().await? {
                None => in_a_row += 1,
                Some(last) if Instant::now() >= deadline => {
                    return Err(Failure::Patience { what, seconds, last });
                }
                Some(_) => in_a_row = 0,
            }
            sleep(PAUSE).await;
        }
        Ok(())
    }

    /// Calls the management API as somebody who may.
    pub(crate) async fn manage(
        &self,
        method: reqwest::Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Answer, Failure> {
        let token = self.settings.management_token.run().await?;
        let what = format!("{method} {path}");
        let request = self
            .http
            .request(method, format!("{}/api/v1{path}", self.settings.management_url))
            .bearer_auth(token);
        Self::send(
            what,
            match body {
                Some(body) => request.json(body),
                None => request,
            },
        )
        .await
    }

    async fn send(what: String, request: RequestBuilder) -> Result<Answer, Failure> {
        let answer = request.send().await?;
        let status = answer.status();
        let cache_control = answer.headers().get(header::CACHE_CONTROL);
        let cache_control = cache_control.and_then(|value| value.to_str().ok()).map(str::to_owned);
        Ok(Answer { what, status, cache_control, body: answer.text().await? })
    }
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_default()
    }

    /// A failure unless it has this status.
    pub(crate) fn expect(self, status: StatusCode, expected: &'static str) -> Result<Self, Failure> {
        if self.status == status {
            return Ok(self);
        }
        // A success where a refusal was expected has a token in it.
        let body = if self.status.is_success() { String::new() } else { self.body };
        Err(Failure::Answer { what: self.what, status: self.status, expected, body })
    }

    /// A failure unless it refuses with this status and error.
    pub(crate) fn expect_refused(self, status: StatusCode, error: &'static str) -> Result<(), Failure> {
        let answer = self.expect(status, error)?;
        if answer.json()["error"] == error && answer.cache_control.as_deref() == Some("no-store") {
            return Ok(());
        }
        Err(Failure::Answer { what: answer.what, status: answer.status, expected: error, body: answer.body })
    }
}
