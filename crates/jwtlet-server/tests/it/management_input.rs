//! Bodies that the management API refuses: the member and its rule are named, and nothing is changed.

use std::fmt::Write;

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Answer, Harness};

impl Harness {
    /// Sends this body as JSON.
    pub(crate) async fn write(&self, method: Method, path: &str, body: impl Into<reqwest::Body>) -> Answer {
        let request =
            self.management_request(method, path, "admin").header("content-type", "application/json");
        Answer::of(request.body(body)).await
    }

    /// Posts each body: all are refused, none leaves a trace. Gives the details, one a line.
    async fn refusals(&self, path: &str, bodies: &[&str]) -> String {
        let mut lines = String::new();
        for body in bodies {
            let answer = self.write(Method::POST, path, (*body).to_owned()).await;
            assert_eq!(answer.status, 400, "{body}: {answer}");
            assert_eq!(answer.header("content-type"), Some("application/problem+json"), "{body}");
            writeln!(lines, "{body}\n    {}", answer.json()["detail"].as_str().unwrap()).unwrap();
        }
        assert_eq!(self.manage(Method::GET, path, "admin", None).await.body, "[]");
        lines
    }

    pub(crate) async fn accepts(&self, path: &str, body: &Value) -> bool {
        let answer = self.manage(Method::POST, path, "admin", Some(body)).await;
        assert!([201, 400].contains(&answer.status), "{answer}");
        answer.status == 201
    }
}

pub(crate) fn mapping_with(member: &str, value: impl Into<Value>) -> Value {
    let mut mapping = json!({"clientIdentifier": "a", "participantContext": "b", "scopes": []});
    mapping[member] = value.into();
    mapping
}

pub(crate) fn scope_with(claims: impl Into<Value>) -> Value {
    json!({"scope": "read", "claims": claims.into()})
}

#[tokio::test]
async fn what_is_not_one_json_value_is_refused() {
    let server = Harness::start().await;
    let bodies = [
        "",
        "{",
        "[{},",
        "{} {}",
        "{'scope':'a'}",
        "scope=a",
        r#"{"scope":"a","scope":"b","claims":{}}"#,
        r#"{"scope":"a","claims":{"x":{"y":1,"y":2}}}"#,
        r#"{"scope":"\ud800","claims":{}}"#,
        r#"{"scope":"a","claims":{"n":1e999}}"#,
    ];
    insta::assert_snapshot!(server.refusals("/scopes", &bodies).await, @r#"

        the body is not JSON: EOF while parsing a value at line 1 column 0
    {
        the body is not JSON: EOF while parsing an object at line 1 column 1
    [{},
        [0]: missing field `scope`
    {} {}
        missing field `scope`
    {'scope':'a'}
        the body is not JSON: key must be a string at line 1 column 2
    scope=a
        the body is not JSON: expected value at line 1 column 1
    {"scope":"a","scope":"b","claims":{}}
        the body is not JSON: member `scope` appears twice at line 1 column 20
    {"scope":"a","claims":{"x":{"y":1,"y":2}}}
        the body is not JSON: member `y` appears twice at line 1 column 37
    {"scope":"\ud800","claims":{}}
        the body is not JSON: unexpected end of hex escape at line 1 column 17
    {"scope":"a","claims":{"n":1e999}}
        the body is not JSON: number out of range at line 1 column 32
    "#);
    server.refusals("/mappings", &bodies).await;
}

#[tokio::test]
async fn bytes_that_are_not_utf_8_or_begin_with_a_mark_are_refused() {
    let server = Harness::start().await;
    for path in ["/mappings", "/scopes"] {
        assert_eq!(server.write(Method::POST, path, "\u{feff}[]").await.status, 400);
        let answer = server.write(Method::POST, path, &b"{\"scope\":\"\xff\",\"claims\":{}}"[..]).await;
        assert_eq!(answer.status, 400, "{answer}");
    }
}

#[tokio::test]
async fn a_problem_is_described_as_rfc_9457_asks() {
    let server = Harness::start().await;
    insta::assert_snapshot!(server.write(Method::POST, "/scopes", "{}").await, @r#"
    400
    content-type: application/problem+json
    cache-control: no-store
    {"type":"about:blank","title":"Bad Request","status":400,"detail":"missing field `scope`"}
    "#);
}

#[tokio::test]
async fn a_record_is_an_object_and_its_place_in_an_array_is_named() {
    let server = Harness::start().await;
    let bodies = [
        "null",
        "\"text\"",
        "[1]",
        "[[]]",
        r#"[{"scope":"a","claims":{}},{"scope":"b"}]"#,
        r#"[{"scope":"a","claims":{}},{"scope":"b","claims":{"iss":1}}]"#,
        r#"[{"scope":"a b","claims":{}}]"#,
        r#"[{"scope":"a","claims":{},"more":1}]"#,
    ];
    insta::assert_snapshot!(server.refusals("/scopes", &bodies).await, @r#"
    null
        a mapping must be a JSON object
    "text"
        a mapping must be a JSON object
    [1]
        [0]: a mapping must be a JSON object
    [[]]
        [0]: a mapping must be a JSON object
    [{"scope":"a","claims":{}},{"scope":"b"}]
        [1]: missing field `claims`
    [{"scope":"a","claims":{}},{"scope":"b","claims":{"iss":1}}]
        [1]: claims: must not define the reserved claim iss
    [{"scope":"a b","claims":{}}]
        [0].scope: must be printable ASCII without space, double quote and backslash
    [{"scope":"a","claims":{},"more":1}]
        [0].more: unknown field `more`, expected one of `scope`, `claims`, `owner`, `labels`, `createdAt`, `updatedAt`, `version`
    "#);
}

#[tokio::test]
async fn members_of_a_mapping_that_are_missing_unknown_or_of_a_wrong_type_are_named() {
    let server = Harness::start().await;
    let bodies = [
        r#"{"participantContext":"b","scopes":[]}"#,
        r#"{"clientIdentifier":"a","scopes":[]}"#,
        r#"{"clientIdentifier":"a","participantContext":"b"}"#,
        r#"{"clientIdentifier":"a","participantContext":"b","scopes":[],"clientidentifier":"a"}"#,
        r#"{"clientIdentifier":"a","participantContext":"b","scopes":[],"etag":"1"}"#,
        r#"{"clientIdentifier":1,"participantContext":"b","scopes":[]}"#,
        r#"{"clientIdentifier":"a","participantContext":null,"scopes":[]}"#,
        r#"{"clientIdentifier":"a","participantContext":"b","scopes":"read"}"#,
        r#"{"clientIdentifier":"a","participantContext":"b","scopes":["read",7]}"#,
        r#"{"clientIdentifier":"a","participantContext":"b","scopes":[],"audiences":null}"#,
        r#"{"clientIdentifier":"a","participantContext":"b","scopes":[],"audiences":["x",{}]}"#,
        r#"{"clientIdentifier":"a","participantContext":"b","scopes":[],"expiresAt":1700000000}"#,
        r#"{"clientIdentifier":"a","participantContext":"b","scopes":[],"expiresAt":"tomorrow"}"#,
        r#"{"clientIdentifier":"a","participantContext":"b","scopes":[],"expiresAt":"2030-01-01T00:00:00"}"#,
        r#"{"clientIdentifier":"a","participantContext":"b","scopes":[],"description":[]}"#,
    ];
    insta::assert_snapshot!(server.refusals("/mappings", &bodies).await, @r#"
    {"participantContext":"b","scopes":[]}
        missing field `clientIdentifier`
    {"clientIdentifier":"a","scopes":[]}
        missing field `participantContext`
    {"clientIdentifier":"a","participantContext":"b"}
        missing field `scopes`
    {"clientIdentifier":"a","participantContext":"b","scopes":[],"clientidentifier":"a"}
        clientidentifier: unknown field `clientidentifier`, expected one of `clientIdentifier`, `participantContext`, `scopes`, `audiences`, `expiresAt`, `description`, `owner`, `labels`, `createdAt`, `updatedAt`, `version`
    {"clientIdentifier":"a","participantContext":"b","scopes":[],"etag":"1"}
        etag: unknown field `etag`, expected one of `clientIdentifier`, `participantContext`, `scopes`, `audiences`, `expiresAt`, `description`, `owner`, `labels`, `createdAt`, `updatedAt`, `version`
    {"clientIdentifier":1,"participantContext":"b","scopes":[]}
        clientIdentifier: invalid type: integer `1`, expected a string
    {"clientIdentifier":"a","participantContext":null,"scopes":[]}
        participantContext: invalid type: null, expected a string
    {"clientIdentifier":"a","participantContext":"b","scopes":"read"}
        scopes: invalid type: string "read", expected a sequence
    {"clientIdentifier":"a","participantContext":"b","scopes":["read",7]}
        scopes[1]: invalid type: integer `7`, expected a string
    {"clientIdentifier":"a","participantContext":"b","scopes":[],"audiences":null}
        audiences: invalid type: null, expected a sequence
    {"clientIdentifier":"a","participantContext":"b","scopes":[],"audiences":["x",{}]}
        audiences[1]: invalid type: map, expected a string
    {"clientIdentifier":"a","participantContext":"b","scopes":[],"expiresAt":1700000000}
        expiresAt: invalid type: integer `1700000000`, expected a string
    {"clientIdentifier":"a","participantContext":"b","scopes":[],"expiresAt":"tomorrow"}
        expiresAt: must be a date and time of RFC 3339 with an offset, as in 2030-01-31T12:00:00Z
    {"clientIdentifier":"a","participantContext":"b","scopes":[],"expiresAt":"2030-01-01T00:00:00"}
        expiresAt: must be a date and time of RFC 3339 with an offset, as in 2030-01-31T12:00:00Z
    {"clientIdentifier":"a","participantContext":"b","scopes":[],"description":[]}
        description: invalid type: sequence, expected a string
    "#);
}

#[tokio::test]
async fn members_of_a_scope_mapping_that_are_missing_unknown_or_of_a_wrong_type_are_named() {
    let server = Harness::start().await;
    let bodies = [
        r#"{"claims":{}}"#,
        r#"{"scope":"a"}"#,
        r#"{"scope":["a"],"claims":{}}"#,
        r#"{"scope":"a","claims":[]}"#,
        r#"{"scope":"a","claims":"role"}"#,
        r#"{"scope":"a","claims":null}"#,
        r#"{"scope":"a","claims":{},"description":"x"}"#,
    ];
    insta::assert_snapshot!(server.refusals("/scopes", &bodies).await, @r#"
    {"claims":{}}
        missing field `scope`
    {"scope":"a"}
        missing field `claims`
    {"scope":["a"],"claims":{}}
        scope: invalid type: sequence, expected a string
    {"scope":"a","claims":[]}
        claims: invalid type: sequence, expected a map
    {"scope":"a","claims":"role"}
        claims: invalid type: string "role", expected a map
    {"scope":"a","claims":null}
        claims: invalid type: null, expected a map
    {"scope":"a","claims":{},"description":"x"}
        description: unknown field `description`, expected one of `scope`, `claims`, `owner`, `labels`, `createdAt`, `updatedAt`, `version`
    "#);
}

#[tokio::test]
async fn names_that_break_their_rules_are_refused_with_the_rule() {
    let server = Harness::start().await;
    let bodies = [
        r#"{"clientIdentifier":"","participantContext":"b","scopes":[]}"#,
        r#"{"clientIdentifier":"a\u0000","participantContext":"b","scopes":[]}"#,
        r#"{"clientIdentifier":"a\tb","participantContext":"b","scopes":[]}"#,
        r#"{"clientIdentifier":"..","participantContext":"b","scopes":[]}"#,
        r#"{"clientIdentifier":"a","participantContext":".","scopes":[]}"#,
        r#"{"clientIdentifier":"a","participantContext":"b\u200b","scopes":[]}"#,
        r#"{"clientIdentifier":"a","participantContext":"\u202eb","scopes":[]}"#,
        r#"{"clientIdentifier":"a","participantContext":"b","scopes":["ok","a b"]}"#,
        r#"{"clientIdentifier":"a","participantContext":"b","scopes":[""]}"#,
        r#"{"clientIdentifier":"a","participantContext":"b","scopes":["a\"b"]}"#,
        r#"{"clientIdentifier":"a","participantContext":"b","scopes":["a\\b"]}"#,
        r#"{"clientIdentifier":"a","participantContext":"b","scopes":["ä"]}"#,
        r#"{"clientIdentifier":"a","participantContext":"b","scopes":[],"audiences":[""]}"#,
        r#"{"clientIdentifier":"a","participantContext":"b","scopes":[],"audiences":["a","b\n"]}"#,
    ];
    insta::assert_snapshot!(server.refusals("/mappings", &bodies).await, @r#"
    {"clientIdentifier":"","participantContext":"b","scopes":[]}
        clientIdentifier: must not be empty
    {"clientIdentifier":"a\u0000","participantContext":"b","scopes":[]}
        clientIdentifier: must not contain control or invisible characters
    {"clientIdentifier":"a\tb","participantContext":"b","scopes":[]}
        clientIdentifier: must not contain control or invisible characters
    {"clientIdentifier":"..","participantContext":"b","scopes":[]}
        clientIdentifier: must not be '.' or '..'
    {"clientIdentifier":"a","participantContext":".","scopes":[]}
        participantContext: must not be '.' or '..'
    {"clientIdentifier":"a","participantContext":"b\u200b","scopes":[]}
        participantContext: must not contain control or invisible characters
    {"clientIdentifier":"a","participantContext":"\u202eb","scopes":[]}
        participantContext: must not contain control or invisible characters
    {"clientIdentifier":"a","participantContext":"b","scopes":["ok","a b"]}
        scopes[1]: must be printable ASCII without space, double quote and backslash
    {"clientIdentifier":"a","participantContext":"b","scopes":[""]}
        scopes[0]: must not be empty
    {"clientIdentifier":"a","participantContext":"b","scopes":["a\"b"]}
        scopes[0]: must be printable ASCII without space, double quote and backslash
    {"clientIdentifier":"a","participantContext":"b","scopes":["a\\b"]}
        scopes[0]: must be printable ASCII without space, double quote and backslash
    {"clientIdentifier":"a","participantContext":"b","scopes":["ä"]}
        scopes[0]: must be printable ASCII without space, double quote and backslash
    {"clientIdentifier":"a","participantContext":"b","scopes":[],"audiences":[""]}
        audiences[0]: must not be empty
    {"clientIdentifier":"a","participantContext":"b","scopes":[],"audiences":["a","b\n"]}
        audiences[1]: must not contain control or invisible characters
    "#);
}

#[tokio::test]
async fn a_time_in_another_form_than_that_of_rfc_3339_is_refused() {
    let server = Harness::start().await;
    for text in [
        "2030-01-31",
        "2030-01-31 12:00:00Z",
        "2030-01-31T12:00Z",
        "20300131T120000Z",
        "2030-01-31T12:00:00+01",
        "2030-01-31T12:00:00Z[UTC]",
        "2030-02-30T12:00:00Z",
    ] {
        let answer =
            server.manage(Method::POST, "/mappings", "admin", Some(&mapping_with("expiresAt", text))).await;
        let detail = answer.json()["detail"].as_str().unwrap().to_owned();
        assert!(answer.status == 400 && detail.starts_with("expiresAt: "), "{text}: {answer}");
    }
    let mapping = mapping_with("expiresAt", "2030-01-31t12:00:00.5+01:00");
    assert!(server.accepts("/mappings", &mapping).await);
    let stored = server.manage(Method::GET, "/mappings/a/b", "admin", None).await.json();
    assert_eq!(stored["expiresAt"], "2030-01-31T11:00:00.5Z");
}

#[tokio::test]
async fn a_number_that_a_token_could_not_repeat_is_refused_with_the_name_of_its_claim() {
    let server = Harness::start().await;
    let bodies = [
        r#"{"scope":"a","claims":{"x":1,"limit":18446744073709551616}}"#,
        r#"[{"scope":"a","claims":{"limit":{"of":[-9223372036854775809]}}}]"#,
    ];
    insta::assert_snapshot!(server.refusals("/scopes", &bodies).await, @r#"
    {"scope":"a","claims":{"x":1,"limit":18446744073709551616}}
        claims: the claim limit must not hold a number beyond 64-bit integers; a string keeps all its digits
    [{"scope":"a","claims":{"limit":{"of":[-9223372036854775809]}}}]
        [0]: claims: the claim limit must not hold a number beyond 64-bit integers; a string keeps all its digits
    "#);
    let largest = r#"{"scope":"read","claims":{"limit":[18446744073709551615,-9223372036854775808]}}"#;
    assert_eq!(server.write(Method::POST, "/scopes", largest).await.status, 201);
    let stored = server.manage(Method::GET, "/scopes/read", "admin", None).await;
    assert!(stored.body.contains("[18446744073709551615,-9223372036854775808]"), "{stored}");
}

#[tokio::test]
async fn replacements_are_checked_like_new_records() {
    let server = Harness::start().await;
    for (list, one, good, bad) in [
        ("/mappings", "/mappings/a/b", mapping_with("scopes", json!(["x"])), mapping_with("scopes", "x")),
        ("/scopes", "/scopes/read", scope_with(json!({"a": 1})), scope_with(json!({"exp": 1}))),
    ] {
        assert!(server.accepts(list, &good).await);
        for body in ["{", "[]", "null", "{\"more\":1}", &bad.to_string()] {
            let answer = server.write(Method::PUT, one, body.to_owned()).await;
            assert_eq!(answer.status, 400, "{body}: {answer}");
        }
        assert_eq!(server.manage(Method::GET, one, "admin", None).await.json()["version"], 1);
    }
}

#[tokio::test]
async fn the_content_type_is_json_or_left_out() {
    let server = Harness::start().await;
    let post = async |content_type: &str| {
        let request = server.management_request(Method::POST, "/scopes", "admin").body("[]");
        Answer::of(if content_type.is_empty() {
            request
        } else {
            request.header("content-type", content_type)
        })
        .await
    };
    for good in ["", "application/json", "Application/JSON; charset=utf-8"] {
        assert_eq!(post(good).await.status, 201, "{good}");
    }
    insta::assert_snapshot!(post("text/plain").await, @r#"
    415
    content-type: application/problem+json
    cache-control: no-store
    {"type":"about:blank","title":"Unsupported Media Type","status":415,"detail":"the Content-Type must be application/json"}
    "#);
    for bad in ["application/x-www-form-urlencoded", "application/jsonx", "json", "\u{e4}"] {
        assert_eq!(post(bad).await.status, 415, "{bad}");
    }
    let json = "application/json";
    let request = server.management_request(Method::POST, "/scopes", "admin").body("[]");
    let twice = Answer::of(request.header("content-type", json).header("content-type", json)).await;
    assert_eq!(
        (twice.status, twice.json()["detail"].as_str()),
        (400, Some("the Content-Type must be given once only"))
    );
}
