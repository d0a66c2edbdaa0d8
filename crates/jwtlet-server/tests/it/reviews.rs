//! TokenReview answers that look like a yes: an acceptance has to be complete to count.

use serde_json::{Value, json};

use crate::harness::{Answer, Harness};

/// An exchange while every review is changed in this way; afterwards the next good one succeeds.
async fn exchange_with(change: impl FnMut(&mut Value) + Send + 'static) -> (Harness, Answer) {
    let server = Harness::with_acme().await;
    let signatures = server.vault.signatures();
    server.kubernetes.on_review(change);
    let answer = server.exchange(&[("resource", "acme")]).await;
    assert_eq!(server.vault.signatures() - signatures, u64::from(answer.status == 200), "{answer}");
    server.kubernetes.clear_hooks();
    server.exchange_works().await;
    (server, answer)
}

async fn refused_after(change: impl FnMut(&mut Value) + Send + 'static) -> Answer {
    let (_, answer) = exchange_with(change).await;
    answer.assert_refused(400, "invalid_request");
    answer
}

#[tokio::test]
async fn an_authenticator_that_knows_nothing_of_audiences_is_not_believed() {
    let answer = refused_after(|review| review["status"]["audiences"] = json!([])).await;
    insta::assert_snapshot!(answer, @r#"
    400
    content-type: application/json
    cache-control: no-store
    pragma: no-cache
    {"error":"invalid_request","error_description":"subject_token is not confirmed by the cluster to be bound to the audience jwtlet-exchange; ask its operator for an API server that reviews audiences"}
    "#);
    refused_after(|review| {
        review["status"].as_object_mut().unwrap().remove("audiences");
    })
    .await;
    refused_after(|review| review["status"]["audiences"] = json!(null)).await;
}

#[tokio::test]
async fn a_confirmed_audience_that_is_not_ours_does_not_count() {
    refused_after(|review| review["status"]["audiences"] = json!(["https://kubernetes.default.svc"])).await;
    refused_after(|review| review["status"]["audiences"] = json!(["jwtlet-management", "jwtlet-exchange2"]))
        .await;
}

#[tokio::test]
async fn an_anonymous_user_is_nobody() {
    let answer = refused_after(|review| {
        review["status"]["user"] =
            json!({"username": "system:anonymous", "groups": ["system:unauthenticated"]});
    })
    .await;
    insta::assert_snapshot!(answer, @r#"
    400
    content-type: application/json
    cache-control: no-store
    pragma: no-cache
    {"error":"invalid_request","error_description":"subject_token does not belong to a Kubernetes service account; present the token of one"}
    "#);
}

#[tokio::test]
async fn a_user_that_is_no_service_account_is_refused() {
    refused_after(|review| {
        let groups = ["system:masters", "system:serviceaccounts:demo"];
        review["status"]["user"] = json!({"username": "kubernetes-admin", "uid": "1", "groups": groups});
    })
    .await;
    refused_after(|review| review["status"]["user"]["username"] = json!("system:node:worker-1")).await;
    refused_after(|review| review["status"]["user"]["username"] = json!("")).await;
    refused_after(|review| {
        review["status"].as_object_mut().unwrap().remove("user");
    })
    .await;
}

#[tokio::test]
async fn a_user_name_that_only_resembles_a_service_account_is_refused() {
    for change in [
        (|user| *user = json!("system:serviceaccount:demo")) as fn(&mut Value),
        |user| *user = json!("system:serviceaccount:demo:connector:x"),
        |user| *user = json!("system:serviceaccount:Demo:connector"),
        |user| *user = json!("system:serviceaccount:demo:connector\n"),
    ] {
        refused_after(move |review| change(&mut review["status"]["user"]["username"])).await;
    }
}

#[tokio::test]
async fn a_user_other_than_the_tokens_subject_is_refused() {
    refused_after(|review| {
        let groups = ["system:serviceaccounts", "system:serviceaccounts:ops"];
        review["status"]["user"] =
            json!({"username": "system:serviceaccount:ops:admin", "uid": "1", "groups": groups});
    })
    .await;
}

#[tokio::test]
async fn a_service_account_outside_the_group_of_its_namespace_is_refused() {
    refused_after(|review| review["status"]["user"]["groups"] = json!([])).await;
    refused_after(|review| {
        review["status"]["user"]["groups"] = json!(["system:serviceaccounts", "system:serviceaccounts:ops"]);
    })
    .await;
}

#[tokio::test]
async fn an_error_beside_the_acceptance_counts() {
    refused_after(|review| review["status"]["error"] = json!("[invalid bearer token]")).await;
}

#[tokio::test]
async fn anything_but_true_is_a_refusal() {
    refused_after(|review| review["status"]["authenticated"] = json!(false)).await;
    refused_after(|review| review["status"] = json!({})).await;
}

#[tokio::test]
async fn an_answer_without_status_or_of_another_form_is_an_outage() {
    for change in [
        (|review| drop(review.as_object_mut().unwrap().remove("status"))) as fn(&mut Value),
        |review| review["status"] = json!(null),
        |review| review["status"] = json!("authenticated"),
        |review| review["status"]["authenticated"] = json!("true"),
        |review| review["status"]["audiences"] = json!("jwtlet-exchange"),
        |review| review["status"]["user"]["groups"] = json!("system:serviceaccounts:demo"),
        |review| *review = json!([]),
        |review| *review = json!(null),
    ] {
        let (_, answer) = exchange_with(change).await;
        answer.assert_refused(503, "temporarily_unavailable");
        assert_eq!(answer.header("retry-after"), Some("1"), "{answer}");
    }
}

#[tokio::test]
async fn a_subject_without_uid_has_none_in_the_token() {
    let (_, answer) = exchange_with(|review| {
        review["status"]["user"].as_object_mut().unwrap().remove("uid");
    })
    .await;
    assert_eq!(answer.claims()["act"].get("k8s_uid"), None);
}

#[tokio::test]
async fn members_that_are_unknown_do_not_matter() {
    let (_, answer) = exchange_with(|review| {
        review["status"]["user"]["extra"]["example.com/new"] = json!(["x"]);
        review["status"]["verdict"] = json!({"deep": true});
    })
    .await;
    assert_eq!(answer.status, 200, "{answer}");
}

#[tokio::test]
async fn other_users_are_accepted_where_the_configuration_says_so() {
    let server = Harness::start_with(&[("JWTLET__K8S__REQUIRE_SERVICE_ACCOUNT", "false")]).await;
    server.map("jane@example.com", "acme", &[], &[]).await;
    server.kubernetes.on_review(|review| {
        review["status"]["user"] = json!({"username": "jane@example.com", "groups": ["developers"]});
    });
    let answer = server.exchange(&[("resource", "acme")]).await;
    assert_eq!(answer.claims()["act"]["sub"], "jane@example.com");
    server.kubernetes.clear_hooks();
    server.kubernetes.on_review(|review| review["status"]["audiences"] = json!([]));
    server.exchange(&[("resource", "acme")]).await.assert_refused(400, "invalid_request");
}
