//! Refused attempts of known callers leave a record; nothing of anybody else does.

use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    harness::{Answer, Harness},
    management::{mapping, scope},
};

/// What the records say, one a line.
fn lines(trail: &[Value]) -> String {
    let line = |record: &Value| {
        assert_eq!(
            (&record["outcome"], &record["before"], &record["after"]),
            (&json!("refused"), &Value::Null, &Value::Null)
        );
        let actor = record["actor"]["sub"].as_str().unwrap().rsplit(':').next().unwrap().to_owned();
        let (action, reason) = (record["action"].as_str().unwrap(), record["reason"].as_str().unwrap());
        format!("{actor} {action} {}\n    {reason}\n", record["key"])
    };
    trail.iter().map(line).collect()
}

#[tokio::test]
async fn whatever_a_known_caller_is_refused_is_recorded_with_the_reason() {
    let server = Harness::start().await;
    server.call(Method::POST, "/mappings", Some(&mapping("a", "b"))).await;
    let junk = |method, path: &str| server.management_request(method, path, "admin");
    server.manage(Method::PUT, "/mappings/a/b", "reader", Some(&mapping("a", "b"))).await;
    server.manage(Method::POST, "/scopes", "mapper", Some(&scope("x"))).await;
    Answer::of(junk(Method::POST, "/mappings").body("{")).await;
    server
        .call(
            Method::POST,
            "/mappings",
            Some(&json!([mapping("x", "y"), {"clientIdentifier": "c", "scopes": []}])),
        )
        .await;
    server.call(Method::PUT, "/scopes/read", Some(&scope("write"))).await;
    server.call(Method::PUT, "/scopes/read", Some(&scope("read"))).await;
    server.call(Method::POST, "/mappings", Some(&json!([mapping("x", "y"), mapping("a", "b")]))).await;
    Answer::of(junk(Method::DELETE, "/mappings/a/b").header("if-match", "\"x\"")).await;
    Answer::of(junk(Method::DELETE, "/mappings/a").header("if-match", "*")).await;
    server.call(Method::PUT, "/mappings/a/b", Some(&json!({"clientIdentifier": "other"}))).await;
    Answer::of(junk(Method::PUT, "/mappings/%zz/b").json(&json!({}))).await;
    Answer::of(junk(Method::POST, "/scopes").header("content-type", "text/plain").body("x")).await;
    Answer::of(junk(Method::POST, "/scopes").body(vec![b' '; 16 * 1024 * 1024 + 1])).await;
    let trail = server.trail().await;
    insta::assert_snapshot!(lines(&trail[1..]), @r#"
    reader mapping.update {"clientIdentifier":"a","participantContext":"b"}
        system:serviceaccount:ops:reader needs the role jwtlet:management:mappings:write in [service_accounts]
    mapper scope.create {}
        system:serviceaccount:ops:mapper needs the role jwtlet:management:scope:write in [service_accounts]
    admin mapping.create {}
        the body is not JSON: EOF while parsing an object at line 1 column 1
    admin mapping.create {"clientIdentifier":"c"}
        [1]: missing field `participantContext`
    admin scope.update {"scope":"read"}
        scope must be that of the path; a key cannot be changed
    admin scope.update {"scope":"read"}
        there is not a scope mapping of read
    admin mapping.create {"clientIdentifier":"a","participantContext":"b"}
        a mapping of a for b exists already or is given twice; nothing was created
    admin mapping.delete {"clientIdentifier":"a","participantContext":"b"}
        a mapping of a for b is not in the state that If-Match names
    admin mapping.delete {"clientIdentifier":"a"}
        If-Match cannot hold here: the mappings of a client have no entity tag together
    admin mapping.update {"clientIdentifier":"a","participantContext":"b"}
        missing field `participantContext`
    admin mapping.update {"participantContext":"b"}
        the path: a % must be followed by two hexadecimal digits
    admin scope.create {}
        the Content-Type must be application/json
    admin scope.create {}
        the body must be at most 16777216 bytes
    "#);
    assert_eq!(server.verdict("").await["intact"], true);
    assert_eq!(server.contexts("/mappings").await, ["a/b"]);
}

#[tokio::test]
async fn a_token_in_the_wrong_place_is_not_kept() {
    let server = Harness::start().await;
    let token = server.operator_token("admin");
    server.call(Method::PUT, &format!("/scopes/{token}"), Some(&scope("read"))).await;
    server.call(Method::POST, "/scopes", Some(&json!({"scope": token, "claims": 1}))).await;
    let trail = server.trail().await;
    assert_eq!(trail.len(), 2);
    for record in trail {
        assert_eq!(record["outcome"], "refused");
        assert!(!record.to_string().contains(&token[..20]), "{record}");
    }
}

#[tokio::test]
async fn strangers_readers_and_outages_leave_no_record() {
    let server = Harness::start().await;
    let url = format!("{}/api/v1/scopes", server.management);
    assert_eq!(Answer::of(server.http.post(&url).bearer_auth("a.b.c")).await.status, 401);
    assert_eq!(server.call(Method::GET, "/mappings?x=1", None).await.status, 400);
    assert_eq!(server.call(Method::POST, "/explain", Some(&json!({}))).await.status, 400);
    server.kubernetes.forbid_reviews(true);
    assert_eq!(server.call(Method::DELETE, "/scopes/read", None).await.status, 503);
    server.kubernetes.forbid_reviews(false);
    assert_eq!(server.trail().await, [Value::Null; 0]);
}
