//! What `GET /metrics` answers, and that documents, dashboard and alerts are about what is there.

use std::{
    collections::BTreeSet,
    fs,
    path::Path,
    time::{Duration, SystemTime},
};

use jwtlet_testkit::{Kubernetes, KubernetesAuth, KubernetesRole, TokenPolicy, Vault, wait_for};
use rcgen::{CertificateParams, KeyPair};
use reqwest::Method;
use serde_json::Value;
use tempfile::TempDir;

use crate::{
    harness::{Answer, CONNECTOR, Harness, KEY, PATIENCE},
    promql::{Prometheus, repository, scrape, series_of},
};

const ROLE: (&str, &str) = ("JWTLET__VAULT__KUBERNETES_ROLE", "jwtlet");

impl Harness {
    /// A ready server that logs in to Vault with its service account, for an hour at a time, and has a certificate.
    pub(crate) async fn start_with_everything() -> (Self, TempDir) {
        let kubernetes = Kubernetes::start().await.unwrap();
        let auth = KubernetesAuth::attached_to(&kubernetes);
        let vault = Vault::builder().kubernetes_auth(auth).start().await.unwrap();
        vault.kubernetes_role("jwtlet", login_role());
        let files = tempfile::tempdir().unwrap();
        let [certificate, key] = certify(&files, None);
        let variables = [ROLE, ("JWTLET__TLS__CERT_FILE", &*certificate), ("JWTLET__TLS__KEY_FILE", &*key)];
        let server = Self::launch(kubernetes, vault, &variables).await;
        server.wait_until_ready().await;
        (server, files)
    }

    /// A ready server with policy, which has made an exchange.
    pub(crate) async fn start_busy(variables: &[(&str, &str)]) -> Self {
        let server = Self::start_with(variables).await;
        server.map(CONNECTOR, "acme", &[], &[]).await;
        assert_eq!(server.exchange(&[("resource", "acme")]).await.status, 200);
        server
    }
}

/// Writes a certificate and its key, which ends at this time.
pub(crate) fn certify(files: &TempDir, end: Option<SystemTime>) -> [String; 2] {
    let mut params = CertificateParams::new(["127.0.0.1".to_owned()]).unwrap();
    if let Some(end) = end {
        params.not_after = end.into();
    }
    let key = KeyPair::generate().unwrap();
    let write = |name, text| {
        let file = files.path().join(name);
        fs::write(&file, text).unwrap();
        file.to_str().unwrap().to_owned()
    };
    [write("tls.crt", params.self_signed(&key).unwrap().pem()), write("tls.key", key.serialize_pem())]
}

fn login_role() -> KubernetesRole {
    KubernetesRole {
        service_accounts: vec![("jwtlet".to_owned(), "jwtlet".to_owned())],
        audience: None,
        policy: TokenPolicy::signer_and_creator(KEY),
        ttl: Duration::from_hours(1),
        max_ttl: None,
    }
}

#[tokio::test]
async fn metrics_need_no_token_and_are_on_the_management_port_only() {
    let server = Harness::start().await;
    let answer = Answer::of(server.http.get(format!("{}/metrics", server.management))).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert!(answer.body.contains("\n# TYPE jwtlet_exchanges_total counter\n"), "{answer}");
    let answer = scrape(&server.http, &server.management).await;
    let open_metrics = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    assert_eq!(answer.header("content-type"), Some(open_metrics));
    assert!(answer.body.ends_with("\n# EOF\n"), "{answer}");
    assert_eq!(server.get("/metrics").await.status, 404);
}

#[tokio::test]
async fn what_happens_is_counted() {
    let server = Harness::start_busy(&[("JWTLET__K8S__REVIEW_CACHE_TTL", "10s")]).await;
    let token = server.subject_token();
    for context in ["acme", "acme", "globex"] {
        server.exchange_token(&token, &[("resource", context)]).await;
    }
    server.exchange_token("opaque", &[("resource", "acme")]).await;
    server.vault.seal(true);
    server.exchange(&[("resource", "acme")]).await;
    assert_eq!(server.manage(Method::GET, "/mappings/a/b", "reader", None).await.status, 404);

    let series = series_of(&scrape(&server.http, &server.management).await.body);
    let value = |name: &str| *series.get(name).unwrap_or_else(|| panic!("{name} is not in {series:#?}"));
    for (name, expected) in [
        (r#"jwtlet_exchanges_total{outcome="issued",reason="none"}"#, 3.0),
        (r#"jwtlet_exchanges_total{outcome="refused",reason="no_mapping"}"#, 1.0),
        (r#"jwtlet_exchanges_total{outcome="refused",reason="malformed"}"#, 1.0),
        (r#"jwtlet_exchanges_total{outcome="failed",reason="vault_unavailable"}"#, 1.0),
        (r#"jwtlet_exchange_seconds_count{stage="review"}"#, 5.0),
        (r#"jwtlet_exchange_seconds_count{stage="policy"}"#, 5.0),
        (r#"jwtlet_exchange_seconds_count{stage="sign"}"#, 4.0),
        (r#"jwtlet_exchange_seconds_count{stage="total"}"#, 5.0),
        ("jwtlet_review_cache_hits_total", 2.0),
        (r#"jwtlet_requests_in_flight{api="management"}"#, 1.0),
        (r#"jwtlet_requests_in_flight{api="exchange"}"#, 0.0),
        (r#"jwtlet_requests_limited_total{by="source"}"#, 0.0),
        (r#"jwtlet_requests_limited_total{by="client"}"#, 0.0),
        (r#"jwtlet_connections_turned_away_total{api="exchange"}"#, 0.0),
        (
            r#"jwtlet_management_requests_total{route="/api/v1/mappings/{client}/{context}",method="GET",status="404"}"#,
            1.0,
        ),
        (r#"jwtlet_signing_key_versions{state="signing"}"#, 1.0),
        (r#"jwtlet_signing_key_version{role="signing"}"#, 1.0),
        ("jwtlet_store_feed_alive", 1.0),
        (r#"jwtlet_ready{system="kubernetes"}"#, 1.0),
    ] {
        assert!((value(name) - expected).abs() < f64::EPSILON, "{name} is {}", value(name));
    }
    for name in [
        r#"jwtlet_upstream_calls_total{system="kubernetes"}"#,
        r#"jwtlet_upstream_failures_total{system="vault",cause="sealed"}"#,
        r#"jwtlet_upstream_retries_total{system="vault"}"#,
        r#"jwtlet_upstream_calls_total{system="store"}"#,
        r#"jwtlet_connections{api="exchange"}"#,
        r#"jwtlet_connections{api="management"}"#,
        r#"jwtlet_signature_batch_size_bucket{le="1.0"}"#,
        "process_cpu_seconds_total",
        "process_resident_memory_bytes",
        "process_open_fds",
        "process_start_time_seconds",
    ] {
        assert!(value(name) > 0.0, "{name}");
    }
    wait_for(
        async || {
            let page = scrape(&server.http, &server.management).await.body;
            page.contains("jwtlet_policy_records{kind=\"mapping\"} ")
        },
        PATIENCE,
    )
    .await
    .unwrap();
}

/// `None` where a page says nothing of the metric but its name.
fn labels_of<'a>(page: &'a str, metric: &str) -> Option<BTreeSet<&'a str>> {
    let series = page.lines().filter(|line| !line.starts_with('#'));
    let named = |line: &&str| {
        ["", "_total", "_sum", "_count", "_bucket"].iter().any(|suffix| {
            let rest = line.strip_prefix(metric).and_then(|rest| rest.strip_prefix(suffix));
            rest.is_some_and(|rest| rest.starts_with(['{', ' ']))
        })
    };
    let line = series.filter(|line| !line.contains("{le=") && !line.contains(",le=")).find(named)?;
    let labels = line.split_once('{').map_or("", |(_, rest)| rest.rsplit_once('}').unwrap().0);
    Some(labels.split("\",").filter_map(|pair| Some(pair.split_once('=')?.0)).collect())
}

#[tokio::test]
async fn a_server_exposes_the_metrics_of_the_reference_and_no_others() {
    let (server, _certificate) = Harness::start_with_everything().await;
    let counted =
        async || scrape(&server.http, &server.management).await.body.contains("jwtlet_policy_records{");
    wait_for(counted, PATIENCE).await.unwrap();
    let page = scrape(&server.http, &server.management).await.body;
    let exposed: BTreeSet<&str> =
        page.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()).collect();
    let reference = jwtlet_server::metrics::reference();
    let mut described = BTreeSet::new();
    for row in reference.lines().filter(|line| line.starts_with("| `") && line.matches('|').count() > 4) {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        let metric = cells[1].trim_matches('`').trim_end_matches("_total");
        let labels: BTreeSet<&str> = cells[3]
            .split(", ")
            .map(|label| label.trim_matches('`'))
            .filter(|label| !label.is_empty())
            .collect();
        assert_eq!(labels_of(&page, metric), Some(labels), "{metric}");
        described.insert(metric);
    }
    assert_eq!(exposed, described);
}

#[test]
fn the_documentation_has_every_metric() {
    const BEGIN: &str = "<!-- generated -->\n";
    let file = repository().join("docs/metrics.md");
    let document = fs::read_to_string(&file).unwrap();
    let (before, _) = document.split_once(BEGIN).unwrap();
    let expected = format!("{before}{BEGIN}\n{}", jwtlet_server::metrics::reference());
    if std::env::var_os("JWTLET_UPDATE_DOCS").is_some() {
        fs::write(&file, &expected).unwrap();
    }
    let now = fs::read_to_string(&file).unwrap();
    assert!(now == expected, "docs/metrics.md is out of date: run this test with JWTLET_UPDATE_DOCS=1");
}

#[tokio::test]
async fn the_python_client_of_prometheus_reads_both_formats() {
    let python = repository().join(".tools/venv/bin/python");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/read_metrics.py");
    let server = Harness::start_busy(&[]).await;
    let plain = Answer::of(server.http.get(format!("{}/metrics", server.management))).await;
    for (format, page) in [("plain", plain), ("openmetrics", scrape(&server.http, &server.management).await)]
    {
        let input = server.files.path().join(format);
        fs::write(&input, &page.body).unwrap();
        let output =
            std::process::Command::new(&python).arg(&script).arg(format).arg(&input).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let families: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(families["jwtlet_exchanges"]["type"], "counter", "{format}");
        assert_eq!(families["jwtlet_exchange_seconds"]["type"], "histogram", "{format}");
    }
}

/// Every expression of the dashboard, with values in the place of its variables.
fn dashboard_expressions() -> Vec<String> {
    let text = fs::read_to_string(repository().join("deploy/grafana/jwtlet.json")).unwrap();
    let dashboard: Value = serde_json::from_str(&text).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let targets = panels.iter().filter_map(|panel| panel["targets"].as_array()).flatten();
    let expressions = targets.map(|target| target["expr"].as_str().unwrap().to_owned());
    let variables = dashboard["templating"]["list"].as_array().unwrap().iter();
    let queries = variables.filter_map(|variable| variable["definition"].as_str());
    let queries = queries.map(|query| {
        let inside = query.strip_prefix("label_values(").unwrap().strip_suffix(')').unwrap();
        let (selector, label) = inside.rsplit_once(", ").unwrap();
        format!("count by ({label}) ({selector})")
    });
    let expressions = expressions.chain(queries);
    let filled = expressions.map(|expression| {
        expression.replace("$__rate_interval", "5m").replace("$job", ".*").replace("$instance", ".*")
    });
    filled.collect()
}

#[tokio::test]
async fn dashboard_and_alerts_ask_for_what_is_there() {
    let (server, _certificate) = Harness::start_with_everything().await;
    let counted =
        async || scrape(&server.http, &server.management).await.body.contains("jwtlet_policy_records{");
    wait_for(counted, PATIENCE).await.unwrap();
    let prometheus = Prometheus::watch(&[&server]).await;
    let expressions = dashboard_expressions();
    assert!(expressions.len() > 40, "{}", expressions.len());
    assert_eq!(prometheus.unknown(expressions).await, serde_json::json!([]));
    for misspelt in [
        "sum by (systme) (jwtlet_ready)",
        "jwtlet_exchange_total",
        r#"jwtlet_ready{system="valut"}"#,
        r#"jwtlet_ready{systme!="vault"}"#,
    ] {
        let unknown = prometheus.unknown(vec![misspelt.to_owned()]).await;
        assert_eq!(unknown.as_array().unwrap().len(), 1, "{misspelt}: {unknown}");
    }
}
