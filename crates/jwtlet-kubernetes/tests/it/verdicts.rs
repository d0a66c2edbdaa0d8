//! What a review says, and what of it counts as an acceptance.

use jwtlet_core::{Audience, subject::Rejection};
use serde_json::{Value, json};

use crate::support::{AUDIENCE, CONNECTOR, Cluster};

/// Why a current token is rejected after every review was changed in this way; afterwards it is accepted.
async fn rejection_after(change: fn(&mut Value)) -> Rejection {
    let cluster = Cluster::start().await;
    cluster.kubernetes.on_review(change);
    let rejection = cluster.rejects(&cluster.token().mint()).await;
    assert_eq!(cluster.reported(), None, "an answer was had, whatever it says");
    cluster.kubernetes.clear_hooks();
    cluster.accepts().await;
    rejection
}

fn not_confirmed() -> Rejection {
    Rejection::AudienceNotConfirmed(Audience::parse(AUDIENCE).unwrap())
}

#[tokio::test]
async fn a_current_token_names_its_service_account_and_uid() {
    let cluster = Cluster::start().await;
    let subject = cluster.verify_good().await.unwrap();
    assert_eq!((subject.identity.as_str(), subject.uid), (CONNECTOR, Some(cluster.uid)));
    assert_eq!(cluster.kubernetes.reviews(), 1);
}

#[tokio::test]
async fn one_audience_among_several_is_enough() {
    let cluster = Cluster::start().await;
    let token = cluster.kubernetes.token("demo", "connector").audience("other").audience(AUDIENCE).mint();
    assert!(cluster.verify(&token).await.is_ok());
}

#[tokio::test]
async fn a_token_of_a_pod_is_good_while_the_pod_is_there() {
    let cluster = Cluster::start().await;
    cluster.kubernetes.create_pod("demo", "connector-0");
    let token = cluster.token().pod("connector-0").mint();
    assert!(cluster.verify(&token).await.is_ok());
    cluster.kubernetes.delete_pod("demo", "connector-0");
    assert_eq!(cluster.rejects(&token).await, Rejection::Refused);
}

#[tokio::test]
async fn what_the_cluster_refuses_is_refused() {
    let cluster = Cluster::start().await;
    let unknown = cluster.kubernetes.token("demo", "unknown").audience(AUDIENCE).mint();
    for token in
        [cluster.token().foreign_key().mint(), cluster.token().issuer("https://other").mint(), unknown]
    {
        assert_eq!(cluster.rejects(&token).await, Rejection::Refused);
    }
    assert_eq!(cluster.kubernetes.reviews(), 3);
}

#[tokio::test]
async fn a_token_dies_with_its_service_account_and_with_its_successor() {
    let cluster = Cluster::start().await;
    let token = cluster.token().mint();
    assert!(cluster.verify(&token).await.is_ok());
    cluster.kubernetes.delete_service_account("demo", "connector");
    assert_eq!(cluster.rejects(&token).await, Rejection::Refused);
    cluster.kubernetes.create_service_account("demo", "connector");
    assert_eq!(cluster.rejects(&token).await, Rejection::Refused);
    cluster.accepts().await;
}

#[tokio::test]
async fn an_audience_that_the_cluster_does_not_confirm_is_none() {
    let rejection = rejection_after(|review| review["status"]["audiences"] = json!([]));
    assert_eq!(rejection.await, not_confirmed());
    let rejection = rejection_after(|review| {
        review["status"].as_object_mut().unwrap().remove("audiences");
    });
    assert_eq!(rejection.await, not_confirmed());
    let rejection = rejection_after(|review| review["status"]["audiences"] = Value::Null);
    assert_eq!(rejection.await, not_confirmed());
    let rejection = rejection_after(|review| {
        review["status"]["audiences"] =
            json!(["https://kubernetes.default.svc", "jwtlet-exchange2", "JWTLET-EXCHANGE"]);
    });
    assert_eq!(rejection.await, not_confirmed());
}

#[tokio::test]
async fn an_error_beside_an_acceptance_is_a_refusal() {
    let rejection = rejection_after(|review| review["status"]["error"] = json!("[webhook timed out]"));
    assert_eq!(rejection.await, Rejection::Refused);
}

#[tokio::test]
async fn a_status_without_an_acceptance_is_a_refusal() {
    for change in [
        |review: &mut Value| review["status"] = json!({}),
        |review: &mut Value| review["status"]["authenticated"] = json!(false),
    ] {
        assert_eq!(rejection_after(change).await, Rejection::Refused);
    }
}

#[tokio::test]
async fn users_of_other_kinds_are_not_service_accounts() {
    for change in [
        |review: &mut Value| {
            review["status"]["user"] =
                json!({"username": "system:anonymous", "groups": ["system:unauthenticated"]});
        },
        |review: &mut Value| {
            review["status"]["user"] = json!({"username": "system:node:a", "groups": ["system:nodes"]});
        },
        |review: &mut Value| {
            review["status"]["user"]["username"] = json!("system:serviceaccount:demo:connector:x");
        },
        |review: &mut Value| {
            review["status"]["user"]["username"] = json!("system:serviceaccount:demo:Connector");
        },
        |review: &mut Value| {
            review["status"].as_object_mut().unwrap().remove("user");
        },
    ] {
        assert_eq!(rejection_after(change).await, Rejection::NotServiceAccount);
    }
}

#[tokio::test]
async fn a_service_account_is_in_the_group_of_its_namespace() {
    for change in [
        |review: &mut Value| review["status"]["user"]["groups"] = json!(["system:authenticated"]),
        |review: &mut Value| review["status"]["user"]["groups"] = json!(["system:serviceaccounts:other"]),
        |review: &mut Value| {
            review["status"]["user"].as_object_mut().unwrap().remove("groups");
        },
        |review: &mut Value| review["status"]["user"]["groups"] = Value::Null,
    ] {
        assert_eq!(rejection_after(change).await, Rejection::NotServiceAccount);
    }
}

#[tokio::test]
async fn another_user_than_the_tokens_own_is_refused() {
    let rejection = rejection_after(|review| {
        review["status"]["user"]["username"] = json!("system:serviceaccount:demo:admin");
    });
    assert_eq!(rejection.await, Rejection::Refused);
    let cluster = Cluster::start().await;
    let token = cluster.token().subject("system:serviceaccount:demo:admin").mint();
    assert_eq!(cluster.rejects(&token).await, Rejection::Refused);
}

#[tokio::test]
async fn a_uid_is_told_only_where_there_is_one() {
    let cluster = Cluster::start().await;
    for uid in [json!(""), Value::Null] {
        cluster.kubernetes.clear_hooks();
        cluster.kubernetes.on_review(move |review| match &uid {
            Value::Null => {
                review["status"]["user"].as_object_mut().unwrap().remove("uid");
            }
            uid => review["status"]["user"]["uid"] = uid.clone(),
        });
        assert_eq!(cluster.verify_good().await.unwrap().uid, None);
    }
}

#[tokio::test]
async fn members_that_are_not_known_are_ignored() {
    let cluster = Cluster::start().await;
    cluster.kubernetes.on_review(|review| {
        review["status"]["new"] = json!({"a": [1]});
        review["status"]["user"]["extra"]["authentication.kubernetes.io/new"] = json!(["a", "b"]);
        review["more"] = json!(1);
    });
    cluster.accepts().await;
}

#[tokio::test]
async fn other_users_are_accepted_only_where_the_operator_wants_them() {
    let cluster = Cluster::start_with(|settings| settings.require_service_account = false).await;
    cluster.accepts().await;
    cluster.kubernetes.on_review(|review| {
        review["status"]["user"] = json!({"username": "alice@example.com", "uid": "7", "groups": ["staff"]});
    });
    let subject = cluster.verify(&cluster.token().subject("alice").mint()).await.unwrap();
    assert_eq!((subject.identity.as_str(), subject.uid.as_deref()), ("alice@example.com", Some("7")));
    cluster.kubernetes.on_review(|review| review["status"]["user"]["username"] = json!("a\u{0}b"));
    assert_eq!(cluster.rejects(&cluster.token().mint()).await, Rejection::Refused);
    cluster.kubernetes.on_review(|review| review["status"]["audiences"] = json!([]));
    assert_eq!(cluster.rejects(&cluster.token().mint()).await, not_confirmed());
}
