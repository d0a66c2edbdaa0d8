//! What is refused before anybody is asked.

use jwtlet_core::{Audience, subject::Rejection};

use crate::support::{AUDIENCE, Cluster};

/// All of these are rejected without a review.
async fn rejected_unseen(cluster: &Cluster, tokens: &[String], expected: impl Fn(&Rejection) -> bool) {
    for token in tokens {
        let rejection = cluster.rejects(token).await;
        assert!(expected(&rejection), "{rejection:?} for {token}");
    }
    assert_eq!(cluster.kubernetes.reviews(), 0);
    cluster.accepts().await;
}

#[tokio::test]
async fn what_is_not_a_jwt_in_shape() {
    let cluster = Cluster::start().await;
    let good = cluster.token().mint();
    let tokens = [
        String::new(),
        "junk".to_owned(),
        "a.b".to_owned(),
        format!("{good}.a"),
        format!(" {good}"),
        format!("{good} junk"),
        format!("Bearer {good}"),
        format!("{good}="),
        good.replace('.', ".."),
        format!("\"{good}\""),
        format!("\u{feff}{good}"),
    ];
    rejected_unseen(&cluster, &tokens, |rejection| *rejection == Rejection::NotJwt).await;
}

#[tokio::test]
async fn what_is_too_long() {
    let cluster = Cluster::start().await;
    let tokens = [cluster.token().claim("padding", "x".repeat(20_000)).mint()];
    rejected_unseen(&cluster, &tokens, |rejection| *rejection == Rejection::TooLong).await;
}

#[tokio::test]
async fn headers_that_no_service_account_token_has() {
    let cluster = Cluster::start().await;
    let with = |name: &str, value: &str| cluster.token().header(name, value).mint();
    let tokens = [
        with("alg", "none"),
        with("alg", "HS256"),
        with("crit", "exp"),
        with("jku", "https://evil.example/keys"),
        with("typ", "at+jwt"),
        with("kid", "a\u{0}b"),
    ];
    rejected_unseen(&cluster, &tokens, |rejection| matches!(rejection, Rejection::Header(_))).await;
}

#[tokio::test]
async fn what_has_expired_or_is_not_valid_yet() {
    let cluster = Cluster::start().await;
    // The cluster itself would accept the first for a minute more.
    let tokens = [cluster.token().expires_in(-1).mint(), cluster.token().expires_in(-3600).mint()];
    rejected_unseen(&cluster, &tokens, |rejection| *rejection == Rejection::Expired).await;
    let cluster = Cluster::start().await;
    let tokens = [cluster.token().not_before_in(3600).mint()];
    rejected_unseen(&cluster, &tokens, |rejection| *rejection == Rejection::NotYetValid).await;
}

#[tokio::test]
async fn what_never_expires() {
    let cluster = Cluster::start().await;
    let tokens = [cluster.token().without("exp").mint(), cluster.token().claim("exp", "later").mint()];
    rejected_unseen(&cluster, &tokens, |rejection| matches!(rejection, Rejection::Claims(_))).await;
}

#[tokio::test]
async fn what_is_for_another_audience() {
    let cluster = Cluster::start().await;
    let token = |audience: &str| cluster.kubernetes.token("demo", "connector").audience(audience).mint();
    let tokens = [
        cluster.kubernetes.token("demo", "connector").mint(),
        token("other"),
        token("jwtlet-exchange/"),
        token("JWTLET-EXCHANGE"),
        token(""),
        cluster.token().without("aud").mint(),
    ];
    let expected = Rejection::WrongAudience(Audience::parse(AUDIENCE).unwrap());
    rejected_unseen(&cluster, &tokens, |rejection| *rejection == expected).await;
}

#[tokio::test]
async fn what_claims_to_be_nobody_or_somebody_of_another_kind() {
    let cluster = Cluster::start().await;
    let tokens: Vec<String> = [
        "",
        "alice",
        "system:anonymous",
        "system:node:a",
        "system:serviceaccount:demo",
        "system:serviceaccount::a",
    ]
    .into_iter()
    .map(|subject| cluster.token().subject(subject).mint())
    .chain([cluster.token().without("sub").mint()])
    .collect();
    rejected_unseen(&cluster, &tokens, |rejection| *rejection == Rejection::NotServiceAccount).await;
}
