//! What Prometheus makes of what a server exposes.

use std::{
    collections::BTreeMap,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use jiff::Timestamp;
use jwtlet_testkit::wait_for;
use serde_json::{Value, json};

use crate::harness::{Answer, Harness, PATIENCE};

/// How long Prometheus is said to wait between two scrapes.
const INTERVAL: Duration = Duration::from_mins(1);

/// A client without anything of the test's own environment.
pub(crate) fn client() -> reqwest::Client {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    #[expect(clippy::disallowed_methods, reason = "a test client needs no limits")]
    reqwest::Client::builder().no_proxy().tls_certs_only([]).build().unwrap()
}

pub(crate) fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The metrics of a server, as Prometheus asks for them.
pub(crate) async fn scrape(http: &reqwest::Client, management: &str) -> Answer {
    let accept = "application/openmetrics-text;version=1.0.0;q=0.6,text/plain;version=0.0.4;q=0.5";
    let answer = Answer::of(http.get(format!("{management}/metrics")).header("accept", accept)).await;
    assert_eq!(answer.status, 200, "{answer}");
    answer
}

/// A Prometheus that scrapes servers. Its clock is this test's: so much is said to pass between two scrapes.
pub(crate) struct Prometheus {
    /// `http://127.0.0.1:port` of the management APIs.
    targets: Vec<String>,
    http: reqwest::Client,
    started: i64,
    scrapes: Vec<Value>,
}

impl Prometheus {
    /// Scrapes these servers for the first time.
    pub(crate) async fn watch(servers: &[&Harness]) -> Self {
        let targets = servers.iter().map(|server| server.management.clone()).collect();
        Self::watch_targets(targets, &servers[0].http).await
    }

    pub(crate) async fn watch_targets(targets: Vec<String>, http: &reqwest::Client) -> Self {
        #[expect(
            clippy::disallowed_methods,
            reason = "the alerts compare with the time at which the server says that it did something"
        )]
        let started = Timestamp::now().as_second();
        let mut prometheus = Self { targets, http: http.clone(), started, scrapes: Vec::new() };
        prometheus.scrapes = prometheus.scrape(started).await;
        prometheus
    }

    /// The alerts that fire when the next scrape follows after a minute.
    pub(crate) async fn firing(&self) -> Vec<String> {
        self.firing_after(INTERVAL).await
    }

    /// The alerts that fire when the next scrape follows after so long.
    pub(crate) async fn firing_after(&self, interval: Duration) -> Vec<String> {
        let at = self.started + i64::try_from(interval.as_secs()).unwrap();
        let mut scrapes = self.scrapes.clone();
        scrapes.extend(self.scrape(at).await);
        let alerts = evaluate(scrapes, vec![], at).await;
        let alerts = alerts["alerts"].as_array().unwrap().iter();
        alerts
            .filter(|alert| alert["fires"] == true)
            .map(|alert| alert["name"].as_str().unwrap().to_owned())
            .collect()
    }

    /// Waits until this alert fires.
    pub(crate) async fn wait_for(&self, alert: &str) {
        self.wait_for_after(alert, INTERVAL).await;
    }

    pub(crate) async fn wait_for_after(&self, alert: &str, interval: Duration) {
        let mut firing = Vec::new();
        let is_firing = async || {
            firing = self.firing_after(interval).await;
            firing.iter().any(|name| name == alert)
        };
        let fired = wait_for(is_firing, PATIENCE).await;
        assert!(fired.is_ok(), "{alert} does not fire, but {firing:?}");
    }

    async fn scrape(&self, at: i64) -> Vec<Value> {
        let mut scrapes = Vec::new();
        for target in &self.targets {
            let answer = scrape(&self.http, target).await;
            let content_type = answer.header("content-type").unwrap();
            scrapes.push(json!({
                "instance": target, "at": at, "content_type": content_type, "text": answer.body,
            }));
        }
        scrapes
    }

    /// What of these expressions, and of the alerts, refers to something that was not scraped.
    pub(crate) async fn unknown(&self, expressions: Vec<String>) -> Value {
        evaluate(self.scrapes.clone(), expressions, self.started).await["unknown"].clone()
    }

    /// Every alert as the rule file has it.
    pub(crate) async fn alerts(&self) -> Vec<Value> {
        let said = evaluate(self.scrapes.clone(), vec![], self.started).await;
        said["alerts"].as_array().unwrap().clone()
    }

    /// The value of one series in the last scrape but those of evaluations.
    pub(crate) async fn value(&self, series: &str) -> f64 {
        let scrapes = self.scrape(0).await;
        series_of(scrapes[0]["text"].as_str().unwrap()).get(series).copied().unwrap_or_default()
    }
}

/// The series of a page with their values.
pub(crate) fn series_of(page: &str) -> BTreeMap<String, f64> {
    let lines = page.lines().filter(|line| !line.starts_with('#'));
    lines
        .filter_map(|line| line.rsplit_once(' '))
        .map(|(name, value)| (name.into(), value.parse().unwrap()))
        .collect()
}

async fn evaluate(scrapes: Vec<Value>, expressions: Vec<String>, at: i64) -> Value {
    let binary = repository().join(".tools/promql/current/promql");
    assert!(
        binary.exists(),
        "there is no engine of Prometheus at {}: run scripts/install-promql",
        binary.display()
    );
    let rules = repository().join("deploy/prometheus/alerts.yaml");
    let asked = json!({"rules": rules, "expressions": expressions, "scrapes": scrapes, "at": at}).to_string();
    // The server under test runs on this thread.
    let run = move || {
        let mut command = Command::new(binary);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut engine = command.spawn().unwrap();
        engine.stdin.take().unwrap().write_all(asked.as_bytes()).unwrap();
        engine.wait_with_output().unwrap()
    };
    let output = tokio::task::spawn_blocking(run).await.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}
