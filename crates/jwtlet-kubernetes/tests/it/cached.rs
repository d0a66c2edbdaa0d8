//! Reviews that are used again, shared, bounded and repeated.

use std::{sync::Arc, time::Duration};

use jwtlet_core::{
    Audience, SubjectToken, SubjectVerifier, UpstreamError,
    subject::{Rejection, VerifyError},
};
use jwtlet_kubernetes::KubernetesSettings;
use jwtlet_testkit::{Fault, wait_for};

use crate::support::{AUDIENCE, Cluster, PATIENCE, now};

async fn cached() -> Cluster {
    Cluster::start_with(|settings| settings.review_cache_ttl = Duration::from_mins(5)).await
}

#[tokio::test]
async fn a_successful_review_is_used_again_for_its_time() {
    let cluster = cached().await;
    let token = cluster.token().mint();
    for _ in 0..10 {
        cluster.verify(&token).await.unwrap();
    }
    assert_eq!(cluster.kubernetes.reviews_of(&token), 1);
    let brief = Cluster::start_with(|settings| settings.review_cache_ttl = Duration::from_millis(1)).await;
    let token = brief.token().mint();
    let again = async || brief.verify(&token).await.is_ok() && brief.kubernetes.reviews_of(&token) > 1;
    wait_for(again, PATIENCE).await.unwrap();
}

#[tokio::test]
async fn a_review_is_not_used_again_when_the_token_has_expired() {
    let cluster = cached().await;
    let token = SubjectToken::parse(&cluster.token().expires_in(60).mint()).unwrap();
    let audience = Audience::parse(AUDIENCE).unwrap();
    cluster.verifier.verify(&token, &audience, now()).await.unwrap();
    let later = now() + Duration::from_secs(61);
    let outcome = cluster.verifier.verify(&token, &audience, later).await;
    assert!(matches!(outcome, Err(VerifyError::Rejected(Rejection::Expired))), "{outcome:?}");
}

#[tokio::test]
async fn a_review_for_one_audience_is_none_for_another() {
    let cluster = cached().await;
    let token = cluster.token().audience("other").mint();
    cluster.verify(&token).await.unwrap();
    let parsed = SubjectToken::parse(&token).unwrap();
    cluster.verifier.verify(&parsed, &Audience::parse("other").unwrap(), now()).await.unwrap();
    assert_eq!(cluster.kubernetes.reviews_of(&token), 2);
}

#[tokio::test]
async fn reviews_of_one_token_at_the_same_time_are_one_call_that_outlives_who_began_it() {
    let cluster = Arc::new(cached().await);
    cluster.kubernetes.faults().set_latency(Duration::from_millis(200));
    let token = cluster.token().mint();
    let verify = || {
        let (cluster, token) = (Arc::clone(&cluster), token.clone());
        tokio::spawn(async move { cluster.verify(&token).await })
    };
    let first = verify();
    let others: Vec<_> = (0..20).map(|_| verify()).collect();
    tokio::task::yield_now().await;
    first.abort();
    for other in others {
        other.await.unwrap().unwrap();
    }
    assert_eq!(cluster.kubernetes.reviews_of(&token), 1);
}

#[tokio::test]
async fn neither_a_refusal_nor_a_failure_is_kept() {
    let cluster = cached().await;
    let refused = cluster.token().foreign_key().mint();
    assert_eq!(cluster.rejects(&refused).await, Rejection::Refused);
    assert_eq!(cluster.rejects(&refused).await, Rejection::Refused);
    assert_eq!(cluster.kubernetes.reviews_of(&refused), 2);
    let token = cluster.token().mint();
    cluster.kubernetes.faults().always(Fault::Garbage);
    assert!(cluster.verify(&token).await.is_err());
    cluster.kubernetes.faults().clear();
    cluster.verify(&token).await.unwrap();
}

#[tokio::test]
async fn junk_does_not_push_good_entries_out() {
    let cluster = Cluster::start_with(|settings| {
        settings.review_cache_ttl = Duration::from_mins(5);
        settings.review_cache_max_entries = 10;
    })
    .await;
    let good: Vec<String> = (0..5).map(|_| cluster.token().mint()).collect();
    for token in &good {
        cluster.verify(token).await.unwrap();
    }
    for _ in 0..100 {
        cluster.rejects(&cluster.token().foreign_key().mint()).await;
    }
    for token in &good {
        cluster.verify(token).await.unwrap();
        assert_eq!(cluster.kubernetes.reviews_of(token), 1);
    }
}

/// One review at a time, and nobody waits.
fn narrow(settings: &mut KubernetesSettings) {
    settings.review_cache_ttl = Duration::from_mins(5);
    settings.max_concurrent_reviews = 1;
    settings.max_waiting_reviews = 0;
}

#[tokio::test]
async fn beyond_the_bounds_a_caller_is_told_at_once_and_cached_tokens_are_served() {
    let cluster = Cluster::start_with(narrow).await;
    let known = cluster.token().mint();
    cluster.verify(&known).await.unwrap();
    cluster.kubernetes.faults().set_latency(Duration::from_secs(1));
    let (one, other) = tokio::join!(cluster.verify_good(), cluster.verify_good());
    let (served, turned) = if one.is_ok() { (one, other) } else { (other, one) };
    served.unwrap();
    assert!(
        matches!(turned, Err(VerifyError::Upstream(UpstreamError::Unavailable { .. }))),
        "{turned:?} is not an outage"
    );
    cluster.verify(&known).await.unwrap();
}

#[tokio::test]
async fn while_the_api_server_asks_for_a_pause_it_has_one() {
    let cluster = cached().await;
    let known = cluster.token().mint();
    cluster.verify(&known).await.unwrap();
    cluster.kubernetes.faults().next(1, Fault::too_many_requests(Duration::from_secs(30)));
    assert_eq!(cluster.is_unavailable().await.0, Some(Duration::from_secs(30)));
    let reviews = cluster.kubernetes.reviews();
    let (retry_after, _) = cluster.is_unavailable().await;
    assert!(retry_after.unwrap() > Duration::from_secs(20), "{retry_after:?}");
    assert_eq!(cluster.kubernetes.reviews(), reviews);
    assert_eq!(cluster.reported().unwrap(), "the API server asked for a pause");
    cluster.verify(&known).await.unwrap();
}

#[tokio::test]
async fn a_passing_failure_is_not_seen_by_anybody() {
    let cluster = cached().await;
    for fault in
        [Fault::status(500), Fault::status(502), Fault::status(503), Fault::status(504), Fault::Close]
    {
        cluster.kubernetes.faults().next(1, fault.clone());
        let token = cluster.token().mint();
        cluster.verify(&token).await.unwrap();
        assert_eq!((cluster.kubernetes.reviews_of(&token), cluster.reported()), (1, None), "{fault:?}");
    }
}

#[tokio::test]
async fn a_failure_that_lasts_is_tried_three_times() {
    let cluster = cached().await;
    cluster.kubernetes.faults().next(3, Fault::status(500));
    cluster.is_unavailable().await;
    cluster.accepts().await;
}
