//! The issuer's public documents, and the probes.

use aws_lc_rs::signature::{RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jwtlet_testkit::Kubernetes;
use serde_json::{Value, json};

use crate::http::{client, send};

#[tokio::test]
async fn the_key_set_verifies_tokens() {
    let kubernetes = Kubernetes::builder().tls(true).start().await.unwrap();
    let http = client(kubernetes.ca_pem().as_deref());
    let get = |path: String| http.get(path).bearer_auth(kubernetes.reviewer_token());

    let (_, document) = send(get(kubernetes.url() + "/.well-known/openid-configuration")).await;
    assert_eq!(document["issuer"], json!(kubernetes.issuer()));
    let (status, keys) = send(get(document["jwks_uri"].as_str().unwrap().to_owned())).await;
    assert_eq!(status, 200);

    let token = kubernetes.token("shop", "cart").mint();
    let (message, signature) = token.rsplit_once('.').unwrap();
    let header = message.split('.').next().unwrap();
    let header: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(header).unwrap()).unwrap();
    let key = &keys["keys"][0];
    assert_eq!(header, json!({ "alg": "RS256", "kid": key["kid"] }));
    let part = |name: &str| URL_SAFE_NO_PAD.decode(key[name].as_str().unwrap()).unwrap();
    let public = RsaPublicKeyComponents { n: part("n"), e: part("e") };
    let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
    public.verify(&RSA_PKCS1_2048_8192_SHA256, message.as_bytes(), &signature).unwrap();
}

#[tokio::test]
async fn discovery_is_closed_to_anonymous_callers_and_probes_are_open() {
    let kubernetes = Kubernetes::builder().issuer("https://issuer.example").start().await.unwrap();
    let http = client(None);
    assert_eq!(send(http.get(kubernetes.url() + "/openid/v1/jwks")).await.0, 403);
    for path in ["/livez", "/readyz", "/version"] {
        assert_eq!(send(http.get(kubernetes.url() + path)).await.0, 200, "{path}");
    }
    assert_eq!(kubernetes.issuer(), "https://issuer.example");
}
