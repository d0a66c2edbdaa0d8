//! Faults, as a client meets them.

use std::time::{Duration, Instant};

use jwtlet_testkit::{Fault, Kubernetes};
use reqwest::Response;

use crate::http::client;

async fn get(kubernetes: &Kubernetes, path: &str) -> Result<Response, reqwest::Error> {
    let http = client(kubernetes.ca_pem().as_deref());
    http.get(kubernetes.url() + path).timeout(Duration::from_secs(2)).send().await
}

#[tokio::test]
async fn counted_faults_hit_the_next_requests_and_no_more() {
    let kubernetes = Kubernetes::start().await.unwrap();
    kubernetes.faults().next(2, Fault::status(500));
    kubernetes.faults().next(1, Fault::too_many_requests(Duration::from_secs(3)));
    let mut statuses = Vec::new();
    for _ in 0..4 {
        let response = get(&kubernetes, "/livez").await.unwrap();
        statuses.push((response.status().as_u16(), response.headers().contains_key("retry-after")));
    }
    assert_eq!(statuses, [(500, false), (500, false), (429, true), (200, false)]);
}

#[tokio::test]
async fn a_fault_can_be_limited_to_a_path() {
    let kubernetes = Kubernetes::start().await.unwrap();
    kubernetes
        .faults()
        .on_path("/livez", Fault::kubernetes(503, "ServiceUnavailable", "apiserver not ready"));
    kubernetes.faults().next_on_path(1, "/readyz", Fault::status(500));
    assert_eq!(get(&kubernetes, "/version").await.unwrap().status(), 200);
    assert_eq!(get(&kubernetes, "/livez").await.unwrap().status(), 503);
    assert_eq!(get(&kubernetes, "/readyz").await.unwrap().status(), 500);
    assert_eq!(get(&kubernetes, "/readyz").await.unwrap().status(), 200);
    kubernetes.faults().clear();
    assert_eq!(get(&kubernetes, "/livez").await.unwrap().status(), 200);
}

#[tokio::test]
async fn a_closed_connection_a_cut_body_and_silence_are_errors_of_their_own_kind() {
    for tls in [false, true] {
        let kubernetes = Kubernetes::builder().tls(tls).start().await.unwrap();
        kubernetes.faults().always(Fault::Close);
        assert!(get(&kubernetes, "/livez").await.unwrap_err().is_request());

        kubernetes.faults().always(Fault::Hang);
        assert!(get(&kubernetes, "/livez").await.unwrap_err().is_timeout());

        kubernetes.faults().always(Fault::Truncated);
        let response = get(&kubernetes, "/livez").await.unwrap();
        assert_eq!(response.status(), 200);
        let error = response.bytes().await.unwrap_err();
        assert!(!error.is_timeout(), "{error:?}");
    }
}

#[tokio::test]
async fn garbage_floods_and_redirects_are_answers() {
    let kubernetes = Kubernetes::start().await.unwrap();
    kubernetes.faults().next(1, Fault::Garbage);
    assert!(get(&kubernetes, "/livez").await.unwrap().text().await.unwrap().contains("<html>"));

    kubernetes.faults().next(1, Fault::Oversized(5_000_000));
    let response = get(&kubernetes, "/livez").await.unwrap();
    assert_eq!(response.content_length(), None);
    assert!(response.bytes().await.unwrap().len() > 5_000_000);

    kubernetes.faults().next(1, Fault::Redirect("http://elsewhere.invalid/".to_owned()));
    let response = get(&kubernetes, "/livez").await.unwrap();
    assert_eq!(
        (response.status().as_u16(), &response.headers()["location"]),
        (307, &"http://elsewhere.invalid/".parse().unwrap())
    );
}

#[tokio::test]
async fn latency_delays_every_answer() {
    let kubernetes = Kubernetes::start().await.unwrap();
    kubernetes.faults().set_latency(Duration::from_millis(80));
    let begun = Instant::now();
    get(&kubernetes, "/livez").await.unwrap();
    assert!(begun.elapsed() >= Duration::from_millis(80));
}
