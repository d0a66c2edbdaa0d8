//! Reviews that give no verdict: never the caller's fault, and over when their cause is.

use std::time::{Duration, Instant};

use jwtlet_testkit::Fault;
use serde_json::{Value, json};

use crate::support::Cluster;

/// Reviews fail in this way, which is an outage; when that is over they work. Gives the causes.
async fn outage(fault: Fault) -> String {
    let cluster = Cluster::start().await;
    cluster.accepts().await;
    cluster.kubernetes.faults().always(fault);
    let (_, causes) = cluster.is_unavailable().await;
    assert!(cluster.reported().is_some(), "{causes}");
    cluster.kubernetes.faults().clear();
    cluster.accepts().await;
    assert_eq!(cluster.reported(), None);
    causes
}

#[tokio::test]
async fn statuses_that_are_not_about_the_token_are_an_outage() {
    for code in [400, 404, 405, 409, 413, 422, 429, 500, 502, 503, 504, 204, 301] {
        let causes = outage(Fault::kubernetes(code, "Reason", "sentry")).await;
        assert!(causes.contains(&format!("the API server answers with status {code}")), "{causes}");
        assert!(!causes.contains("sentry"), "{causes}");
    }
}

#[tokio::test]
async fn the_advice_on_when_to_come_back_is_kept() {
    for seconds in [1, 5, 32] {
        // Each on its own: while the pause of one lasts, the next is not asked for.
        let cluster = Cluster::start().await;
        let wait = Duration::from_secs(seconds);
        cluster.kubernetes.faults().next(1, Fault::too_many_requests(wait));
        assert_eq!(cluster.is_unavailable().await.0, Some(wait));
    }
    let cluster = Cluster::start().await;
    cluster.kubernetes.faults().always(Fault::status(503).with_header("retry-after", "9"));
    assert_eq!(cluster.is_unavailable().await.0, Some(Duration::from_secs(9)));
}

#[tokio::test]
async fn advice_that_is_not_a_number_of_seconds_is_no_advice() {
    let cluster = Cluster::start().await;
    for advice in ["soon", "-1", "1.5", "99999999999999999999", "Wed, 21 Oct 2099 07:28:00 GMT"] {
        cluster.kubernetes.faults().next(1, Fault::status(429).with_header("retry-after", advice));
        assert_eq!(cluster.is_unavailable().await.0, None, "{advice}");
    }
}

#[tokio::test]
async fn answers_that_are_not_a_review_are_an_outage() {
    for fault in [
        Fault::Garbage,
        Fault::status_with_body(201, ""),
        Fault::json(201, &json!("text")),
        Fault::json(201, &json!({"status": "Success"})),
        Fault::json(201, &json!({"status": {"authenticated": "yes"}})),
        Fault::json(201, &json!({"status": {"authenticated": true, "user": {"username": 1}}})),
        Fault::json(201, &json!({"status": {"authenticated": true, "audiences": "jwtlet-exchange"}})),
    ] {
        let causes = outage(fault.clone()).await;
        assert!(causes.contains("not the expected JSON"), "{fault:?}: {causes}");
    }
    let missing = json!({"kind": "TokenReview", "apiVersion": "authentication.k8s.io/v1"});
    let causes = outage(Fault::json(201, &missing)).await;
    assert!(causes.contains("a TokenReview without status"), "{causes}");
}

#[tokio::test]
async fn answers_that_end_early_or_never_come_are_an_outage() {
    for (fault, cause) in [
        (Fault::Truncated, "the call failed"),
        (Fault::Close, "the call failed"),
        (Fault::Oversized(5 * 1024 * 1024), "the answer is longer than"),
    ] {
        let causes = outage(fault.clone()).await;
        assert!(causes.contains(cause), "{fault:?}: {causes}");
    }
}

#[tokio::test]
async fn a_review_takes_no_longer_than_its_time_limit() {
    let limit = Duration::from_secs(1);
    let cluster = Cluster::start_with(|settings| settings.request_timeout = limit).await;
    cluster.kubernetes.faults().next(1, Fault::Hang);
    let started = Instant::now();
    let (_, causes) = cluster.is_unavailable().await;
    assert!(causes.contains("within the time limit"), "{causes}");
    assert!(started.elapsed() >= limit && started.elapsed() < limit * 8, "{:?}", started.elapsed());
    cluster.accepts().await;
}

#[tokio::test]
async fn a_redirect_is_not_followed_with_the_token() {
    let (cluster, other) = (Cluster::start().await, Cluster::start().await);
    let target = format!("{}/apis/authentication.k8s.io/v1/tokenreviews", other.kubernetes.url());
    cluster.kubernetes.faults().always(Fault::Redirect(target));
    let (_, causes) = cluster.is_unavailable().await;
    assert!(causes.contains("status 307"), "{causes}");
    assert_eq!((other.kubernetes.reviews(), other.kubernetes.connections()), (0, 0));
}

#[tokio::test]
async fn an_absent_api_server_is_an_outage_that_ends_by_itself() {
    let cluster = Cluster::start().await;
    cluster.kubernetes.stop().await;
    let (_, causes) = cluster.is_unavailable().await;
    assert!(causes.contains("the call failed"), "{causes}");
    cluster.kubernetes.restart().await.unwrap();
    cluster.accepts().await;
}

#[tokio::test]
async fn causes_hold_no_token_and_no_address() {
    let cluster = Cluster::start().await;
    let own = cluster.kubernetes.reviewer_token();
    cluster.kubernetes.on_review(|review| review["status"] = Value::from(7));
    let (_, causes) = cluster.is_unavailable().await;
    cluster.kubernetes.stop().await;
    let (_, more) = cluster.is_unavailable().await;
    for text in [causes, more] {
        assert!(!text.contains("eyJ") && !text.contains(&own) && !text.contains("tokenreviews"), "{text}");
    }
}

#[tokio::test]
async fn connections_are_kept_and_used_again() {
    let cluster = Cluster::start().await;
    for _ in 0..20 {
        cluster.accepts().await;
    }
    cluster.kubernetes.faults().next(1, Fault::status(400));
    cluster.is_unavailable().await;
    cluster.accepts().await;
    assert_eq!((cluster.kubernetes.connections(), cluster.kubernetes.reviews()), (1, 21));
}
