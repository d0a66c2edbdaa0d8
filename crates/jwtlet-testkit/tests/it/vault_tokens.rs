//! Looking tokens up and renewing them.

use std::time::Duration;

use jwtlet_testkit::{TokenPolicy, Vault, wait_for};
use serde_json::{Value, json};

use crate::http::vault;

async fn renew(server: &Vault, token: &str, increment: &str) -> (u16, Value) {
    vault(server, token, "POST", "auth/token/renew-self", Some(json!({ "increment": increment }))).await
}

#[tokio::test]
async fn the_root_token_never_expires() {
    let server = Vault::start().await.unwrap();
    let (_, body) = vault(&server, &server.root_token(), "GET", "auth/token/lookup-self", None).await;
    let data = &body["data"];
    assert_eq!((&data["ttl"], &data["expire_time"], data.get("renewable")), (&json!(0), &Value::Null, None));
    assert_eq!((&data["id"], &data["policies"]), (&json!(server.root_token()), &json!(["root"])));
}

#[tokio::test]
async fn a_leased_token_tells_its_lifetime_and_dies() {
    let server = Vault::start().await.unwrap();
    let token = server.create_token(&TokenPolicy::nothing().ttl(Duration::from_secs(1)).renewable(true));
    let (_, body) = vault(&server, &token, "GET", "auth/token/lookup-self", None).await;
    assert_eq!((&body["data"]["ttl"], &body["data"]["renewable"]), (&json!(1), &json!(true)));
    let dead = async || vault(&server, &token, "GET", "auth/token/lookup-self", None).await.0 == 403;
    wait_for(dead, Duration::from_secs(5)).await.unwrap();
}

#[tokio::test]
async fn renewals_are_capped_by_the_maximum() {
    let server = Vault::start().await.unwrap();
    let hours = Duration::from_hours;
    let policy = TokenPolicy::nothing().ttl(hours(1)).max_ttl(hours(2)).renewable(true);
    let token = server.create_token(&policy);
    assert_eq!(renew(&server, &token, "90m").await.1["auth"]["lease_duration"], 5400);
    assert_eq!(renew(&server, &token, "3h").await.1["auth"]["lease_duration"], 7200);
    assert_eq!(renew(&server, &token, "").await.1["auth"]["lease_duration"], 3600);
}

#[tokio::test]
async fn a_period_ignores_the_increment() {
    let server = Vault::start().await.unwrap();
    let policy = TokenPolicy::nothing()
        .period(Duration::from_mins(10))
        .max_ttl(Duration::from_secs(1))
        .renewable(true);
    let token = server.create_token(&policy);
    let (_, body) = renew(&server, &token, "1h").await;
    assert_eq!(
        (&body["auth"]["lease_duration"], &body["auth"]["client_token"]),
        (&json!(600), &json!(token))
    );
}

#[tokio::test]
async fn tokens_that_cannot_be_renewed_say_so() {
    let server = Vault::start().await.unwrap();
    let refusal = (400, json!({ "errors": ["lease is not renewable"] }));
    assert_eq!(renew(&server, &server.root_token(), "1h").await, refusal);
    let token = server.create_token(&TokenPolicy::nothing().ttl(Duration::from_mins(1)));
    assert_eq!(renew(&server, &token, "1h").await, refusal);
}
