//! TokenReview.

use jwtlet_testkit::Kubernetes;
use serde_json::{Value, json};

use crate::http::{client, review, review_as, send};

async fn prepare() -> Kubernetes {
    let kubernetes = Kubernetes::start().await.unwrap();
    kubernetes.create_service_account("shop", "cart");
    kubernetes
}

async fn error_of(kubernetes: &Kubernetes, token: &str) -> String {
    let (status, body) = review(kubernetes, token, &["jwtlet"]).await;
    assert_eq!(status, 201);
    assert_eq!(body["status"].get("authenticated"), None, "{body}");
    body["status"]["error"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_good_token_is_authenticated_for_the_audiences_it_shares() {
    let kubernetes = prepare().await;
    let uid = kubernetes.create_service_account("shop", "cart");
    let token = kubernetes.token("shop", "cart").audience("jwtlet").audience("other").mint();

    let (status, body) = review(&kubernetes, &token, &["elsewhere", "jwtlet"]).await;

    assert_eq!(status, 201);
    assert_eq!(body["spec"]["token"], json!(token));
    assert_eq!(body["metadata"]["creationTimestamp"], Value::Null);
    assert_eq!(body["status"]["authenticated"], json!(true));
    assert_eq!(body["status"]["audiences"], json!(["jwtlet"]));
    assert_eq!(body["status"]["user"]["username"], "system:serviceaccount:shop:cart");
    assert_eq!(body["status"]["user"]["uid"], json!(uid));
    assert_eq!(
        body["status"]["user"]["groups"],
        json!(["system:serviceaccounts", "system:serviceaccounts:shop", "system:authenticated"])
    );
    assert_eq!((kubernetes.reviews(), kubernetes.reviews_of(&token)), (1, 1));
}

#[tokio::test]
async fn refusals_are_created_too_and_say_why() {
    let kubernetes = prepare().await;
    let token = || kubernetes.token("shop", "cart").audience("jwtlet");
    let cases = [
        ("garbage".to_owned(), "invalid bearer token"),
        (token().issuer("https://else.where").mint(), "invalid bearer token"),
        (token().expires_in(-61).mint(), "[invalid bearer token, service account token has expired]"),
        (token().not_before_in(90).mint(), "[invalid bearer token, service account token is not valid yet]"),
        (token().foreign_key().mint(), "[invalid bearer token, invalid signature, no keys found]"),
        (
            kubernetes.token("shop", "cart").audience("a").mint(),
            r#"[invalid bearer token, token audiences ["a"] is invalid for the target audiences ["jwtlet"]]"#,
        ),
        (
            kubernetes.token("shop", "nobody").audience("jwtlet").mint(),
            r#"[invalid bearer token, serviceaccounts "nobody" not found]"#,
        ),
    ];
    for (token, error) in cases {
        assert_eq!(error_of(&kubernetes, &token).await, error);
    }
}

#[tokio::test]
async fn an_altered_token_is_refused() {
    let kubernetes = prepare().await;
    let good = kubernetes.token("shop", "cart").audience("jwtlet").mint();
    let other = kubernetes.token("shop", "cart").audience("jwtlet").claim("x", 1).mint();
    let (_, signature) = other.rsplit_once('.').unwrap();
    let (message, _) = good.rsplit_once('.').unwrap();

    let error = error_of(&kubernetes, &format!("{message}.{signature}")).await;

    assert!(error.contains("cryptographic primitive"), "{error}");
}

#[tokio::test]
async fn an_expired_token_passes_for_one_more_minute() {
    let kubernetes = prepare().await;
    let token = kubernetes.token("shop", "cart").audience("jwtlet").expires_in(-30).mint();
    let (_, body) = review(&kubernetes, &token, &["jwtlet"]).await;
    assert_eq!(body["status"]["authenticated"], json!(true));
}

#[tokio::test]
async fn a_recreated_service_account_kills_the_tokens_of_the_former() {
    let kubernetes = prepare().await;
    let token = kubernetes.token("shop", "cart").audience("jwtlet").mint();
    kubernetes.create_service_account("shop", "cart");
    assert!(error_of(&kubernetes, &token).await.contains("does not match claim"));
    kubernetes.delete_service_account("shop", "cart");
    assert!(error_of(&kubernetes, &token).await.contains("not found"));
}

#[tokio::test]
async fn a_pod_bound_token_names_its_pod_and_dies_with_it() {
    let kubernetes = prepare().await;
    let uid = kubernetes.create_pod("shop", "cart-0");
    let token = kubernetes.token("shop", "cart").audience("jwtlet").pod("cart-0").mint();

    let (_, body) = review(&kubernetes, &token, &["jwtlet"]).await;
    let extra = &body["status"]["user"]["extra"];
    assert_eq!(extra["authentication.kubernetes.io/pod-name"], json!(["cart-0"]));
    assert_eq!(extra["authentication.kubernetes.io/pod-uid"], json!([uid]));
    assert_eq!(extra["authentication.kubernetes.io/node-name"], json!(["node-1"]));

    kubernetes.delete_pod("shop", "cart-0");
    let error = error_of(&kubernetes, &token).await;
    assert_eq!(error, "[invalid bearer token, service account token has been invalidated]");
}

#[tokio::test]
async fn a_leading_space_makes_the_caller_anonymous_for_whatever_was_asked() {
    let kubernetes = prepare().await;
    let good = kubernetes.token("shop", "cart").audience("jwtlet").mint();
    for token in [format!(" {good}"), "   ".to_owned()] {
        let (status, body) = review(&kubernetes, &token, &["jwtlet"]).await;
        assert_eq!(status, 201);
        assert_eq!(body["status"]["authenticated"], json!(true));
        assert_eq!(body["status"]["user"]["username"], "system:anonymous");
        assert_eq!(body["status"]["audiences"], json!(["jwtlet"]));
    }
}

#[tokio::test]
async fn what_follows_a_space_is_not_read() {
    let kubernetes = prepare().await;
    let good = kubernetes.token("shop", "cart").audience("jwtlet").mint();
    let (_, body) = review(&kubernetes, &format!("{good} junk"), &["jwtlet"]).await;
    assert_eq!(body["status"]["user"]["username"], "system:serviceaccount:shop:cart");
}

#[tokio::test]
async fn without_audiences_the_token_is_reviewed_for_the_api_server() {
    let kubernetes = prepare().await;
    let token = kubernetes.token("shop", "cart").mint();
    let (_, body) = review(&kubernetes, &token, &[]).await;
    assert_eq!(body["status"]["audiences"], json!([kubernetes.issuer()]));
}

#[tokio::test]
async fn an_empty_token_is_a_bad_request() {
    let kubernetes = prepare().await;
    let (status, body) = review(&kubernetes, "", &["jwtlet"]).await;
    assert_eq!((status, &body["kind"], &body["reason"]), (400, &json!("Status"), &json!("BadRequest")));
    assert_eq!(kubernetes.reviews(), 0);
}

#[tokio::test]
async fn callers_need_a_live_token_and_the_right_to_review() {
    let kubernetes = prepare().await;
    let subject = kubernetes.token("shop", "cart").audience("jwtlet").mint();
    let plain = kubernetes.token("shop", "cart").mint();
    let first = kubernetes.reviewer_token();
    let second = kubernetes.rotate_reviewer_token();

    assert_eq!(review_as(&kubernetes, None, &subject, &["jwtlet"]).await.0, 403);
    assert_eq!(review_as(&kubernetes, Some("nonsense"), &subject, &["jwtlet"]).await.0, 401);
    assert_eq!(review_as(&kubernetes, Some(&plain), &subject, &["jwtlet"]).await.0, 403);
    let (status, body) = review_as(&kubernetes, Some(&first), &subject, &["jwtlet"]).await;
    assert_eq!((status, &body["message"]), (401, &json!("Unauthorized")));
    assert_eq!(review_as(&kubernetes, Some(&second), &subject, &["jwtlet"]).await.0, 201);

    kubernetes.forbid_reviews(true);
    let (status, body) = review(&kubernetes, &subject, &["jwtlet"]).await;
    assert_eq!(status, 403);
    assert_eq!(
        body["message"],
        "tokenreviews.authentication.k8s.io is forbidden: User \"system:serviceaccount:jwtlet:jwtlet\" cannot \
         create resource \"tokenreviews\" in API group \"authentication.k8s.io\" at the cluster scope"
    );
    kubernetes.allow_reviews("shop", "cart");
    kubernetes.forbid_reviews(false);
    assert_eq!(review_as(&kubernetes, Some(&plain), &subject, &["jwtlet"]).await.0, 201);
}

#[tokio::test]
async fn a_body_over_three_megabytes_is_too_large() {
    let kubernetes = prepare().await;
    let (status, body) = review(&kubernetes, &"a".repeat(3 * 1024 * 1024), &["jwtlet"]).await;
    assert_eq!((status, &body["reason"]), (413, &json!("RequestEntityTooLarge")));
}

#[tokio::test]
async fn a_hook_can_make_the_authenticator_unaware_of_audiences() {
    let kubernetes = prepare().await;
    let token = kubernetes.token("shop", "cart").audience("jwtlet").mint();
    kubernetes.on_review(|answer| {
        answer["status"].as_object_mut().unwrap().remove("audiences");
    });
    let (_, body) = review(&kubernetes, &token, &["jwtlet"]).await;
    assert_eq!(body["status"].get("audiences"), None);
    kubernetes.clear_hooks();
    let (_, body) = review(&kubernetes, &token, &["jwtlet"]).await;
    assert_eq!(body["status"]["audiences"], json!(["jwtlet"]));
}

#[tokio::test]
async fn other_media_types_and_methods_are_refused() {
    let kubernetes = prepare().await;
    let url = format!("{}/apis/authentication.k8s.io/v1/tokenreviews", kubernetes.url());
    let http = client(None);
    let form =
        http.post(&url).bearer_auth(kubernetes.admin_token()).header("content-type", "text/plain").body("x");
    assert_eq!(send(form).await.0, 415);
    assert_eq!(send(http.get(&url).bearer_auth(kubernetes.admin_token())).await.0, 405);
    assert_eq!(send(http.get(kubernetes.url() + "/nowhere")).await.1["code"], 404);
}
