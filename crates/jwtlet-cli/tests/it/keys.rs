//! Whether the published keys verify what an exchange issued.

use jwtlet_testkit::KeyType;
use serde_json::{Value, json};

use crate::{stand_in::StandIn, world::World};

#[tokio::test]
async fn signatures_of_every_type_of_key_are_verified() {
    for (key_type, algorithm) in [
        (KeyType::Ed25519, "EdDSA"),
        (KeyType::EcdsaP256, "ES256"),
        (KeyType::EcdsaP384, "ES384"),
        (KeyType::EcdsaP521, "ES512"),
        (KeyType::Rsa2048, "RS256"),
        (KeyType::Rsa2048, "PS256"),
    ] {
        let world = World::start_with_key(key_type, if algorithm == "PS256" { "PS256" } else { "RS256" })
            .await
            .with_policy()
            .await;
        let ran = world.exchange(&["acme", "--decode", "-o", "json"]).run().await;
        assert_eq!(ran.status, 0, "{ran}");
        assert_eq!(ran.json()["header"]["alg"], algorithm);
        assert_eq!(ran.json()["verified"], true);
    }
}

#[tokio::test]
async fn a_token_of_another_key_is_not_verified() {
    let world = World::start().await.with_policy().await;
    let answer = world.exchange(&["acme", "-o", "json"]).run().await.out;
    let published: Value = serde_json::from_str(&world.published("/.well-known/jwks.json").await).unwrap();
    let with = |member: &str, value: Value| {
        let mut keys = published.clone();
        keys["keys"][0][member] = value;
        keys
    };
    let zeros = "A".repeat(43);
    for (keys, said) in [
        (json!({"keys": []}), "not verified: the key signing-jwtlet_pc-1 is not published"),
        (with("kid", json!("other")), "not verified: the key signing-jwtlet_pc-1 is not published"),
        (
            with("x", json!(zeros)),
            "not verified: it is not a signature of the published key signing-jwtlet_pc-1",
        ),
        (
            with("alg", json!("ES256")),
            "not verified: it is not a signature of the published key signing-jwtlet_pc-1",
        ),
    ] {
        let server =
            StandIn::start(&[("/token", &answer), ("/.well-known/jwks.json", &keys.to_string())]).await;
        let exchange = ["acme", "--decode", "--exchange-server", server.url()];
        let ran = world.exchange(&exchange).run().await;
        assert_eq!((ran.status, ran.out.lines().last().unwrap()), (1, &*format!("signature   {said}")));
        let ran = world.exchange(&[&exchange[..], &["-o", "json"]].concat()).run().await;
        assert_eq!((ran.status, &*ran.err), (1, &*format!("{said}\n")));
        assert!(ran.out.contains("\"verified\": false"), "{ran}");
    }
}
