use serde_json::{Value, json};

use super::*;

const NOW: Timestamp = Timestamp::constant(1_800_000_000, 0);

fn scopes(names: &str) -> Vec<Scope> {
    names.split_whitespace().map(|name| Scope::parse(name).unwrap()).collect()
}

fn mapping(client: &str, context: &str, granted: &str) -> ResourceMapping {
    let key = MappingKey {
        client_identifier: ClientIdentifier::parse(client).unwrap(),
        participant_context: ParticipantContext::parse(context).unwrap(),
    };
    ResourceMapping::new(key, scopes(granted), vec![]).unwrap()
}

fn lint(limit: usize, defined: &[(&str, Value)], mappings: &[ResourceMapping]) -> Report {
    let rules = ClaimRules::new("pc".into(), ["scope".to_owned()].into()).unwrap();
    let mut lint = Lint::new(rules, NOW, limit);
    for (scope, claims) in defined {
        let scope = Scope::parse(scope).unwrap();
        lint.scope(&ScopeMapping::restore(scope, claims.as_object().unwrap().clone()));
    }
    for mapping in mappings {
        lint.mapping(mapping);
    }
    lint.finish()
}

fn messages(report: &Report) -> Vec<&str> {
    report.findings.iter().map(|finding| &*finding.message).collect()
}

#[test]
fn a_sound_policy_has_no_findings() {
    let defined = [("a", json!({"scope": "x"})), ("b", json!({"scope": "y"})), ("c", json!({"r": [1]}))];
    let mappings =
        [mapping("one", "acme", "a b"), mapping("one", "globex", "a b"), mapping("two", "acme", "c")];
    assert_eq!(lint(10, &defined, &mappings), Report::default());
}

#[test]
fn every_pair_of_scopes_that_cannot_go_together_is_named_once() {
    let defined = [
        ("a", json!({"role": "reader", "n": 1})),
        ("b", json!({"role": "writer", "n": 1, "l": [1]})),
        ("c", json!({"role": ["writer"], "l": [2], "scope": "s"})),
        ("d", json!({"scope": ["s"]})),
    ];
    let shared =
        [mapping("one", "acme", "a b c"), mapping("two", "globex", "c b a"), mapping("z", "z", "c d")];
    let report = lint(10, &defined, &shared);
    let pairs: Vec<_> = report
        .findings
        .iter()
        .map(|finding| {
            let name = |scope: &Option<Scope>| scope.as_ref().unwrap().to_string();
            let claim = finding.claim.clone().unwrap();
            (claim, name(&finding.scope), name(&finding.other_scope), finding.mappings)
        })
        .collect();
    let pair =
        |claim: &str, a: &str, b: &str, count| (claim.to_owned(), a.to_owned(), b.to_owned(), Some(count));
    let role = |a, b| pair("role", a, b, 2);
    assert_eq!(pairs, [role("a", "b"), role("a", "c"), role("b", "c"), pair("scope", "c", "d", 1)]);
    assert_eq!(
        messages(&report)[0],
        "the scopes a and b define the claim role differently, so they can never be requested together; granted by \
         2 mappings, the first of them the mapping of one for acme"
    );
}

#[test]
fn scopes_without_a_mapping_and_mappings_without_a_grant_are_found() {
    let defined = [("a", json!({})), ("z", json!({})), ("y", json!({}))];
    let report = lint(10, &defined, &[mapping("one", "acme", "a b"), mapping("one", "globex", "b")]);
    assert_eq!(
        messages(&report),
        [
            "the scope b has no scope mapping, so it adds no claim; granted by 2 mappings, the first of them the mapping \
             of one for acme",
            "no resource mapping grants the scope y",
            "no resource mapping grants the scope z",
        ]
    );
}

#[test]
fn clients_of_one_context_that_share_scopes_are_found() {
    let defined = ["a", "b", "c"].map(|scope| (scope, json!({})));
    let report = lint(
        10,
        &defined,
        &[
            mapping("one", "acme", "a b c"),
            mapping("one", "globex", "a"),
            mapping("three", "acme", "c"),
            mapping("two", "acme", "c b"),
            mapping("two", "globex", "b"),
        ],
    );
    assert_eq!(
        messages(&report),
        [
            "one and three may both act for acme with the scopes c",
            "one and two may both act for acme with the scopes b c",
            "three and two may both act for acme with the scopes c",
        ]
    );
}

#[test]
fn what_expires_and_what_has_expired_is_found() {
    let day = SignedDuration::from_hours(24);
    let until = |context: &str, at| mapping("one", context, "a").with_expiry(Some(at));
    let mappings = [
        until("a", NOW),
        until("b", NOW + day * 14),
        until("c", NOW + day * 14 + SignedDuration::from_secs(1)),
    ];
    let report = lint(10, &[("a", json!({}))], &mappings);
    assert_eq!(
        messages(&report),
        [
            "the mapping of one for b expires at 2027-01-29T08:00:00Z",
            "the mapping of one for a expired at 2027-01-15T08:00:00Z and grants nothing",
        ]
    );
    let overlapping = [until("a", NOW), mapping("two", "a", "a")];
    assert_eq!(lint(10, &[("a", json!({}))], &overlapping).findings.len(), 1);
}

#[test]
fn reserved_claims_come_first_and_say_where_they_are() {
    let report = lint(10, &[("a", json!({"sub": 1, "pc": 1, "role": 1}))], &[]);
    assert_eq!(
        serde_json::to_value(&report.findings[0]).unwrap(),
        json!({
            "kind": "reserved-claim",
            "severity": "error",
            "message": "the scope mapping of a defines the reserved claim pc, which is never issued from it",
            "scope": "a",
            "claim": "pc",
        })
    );
    let kinds: Vec<_> = report.findings.iter().map(|finding| finding.kind).collect();
    assert_eq!(kinds, [Kind::ReservedClaim, Kind::ReservedClaim, Kind::UnusedScope]);
}

#[test]
fn a_report_ends_at_its_limit_and_says_so() {
    let many: Vec<ResourceMapping> = (0..40).map(|i| mapping(&format!("c{i}"), "acme", "a")).collect();
    for (limit, expected) in [(779, 779), (780, 780), (1000, 780)] {
        let report = lint(limit, &[("a", json!({}))], &many);
        assert_eq!((report.findings.len(), report.truncated), (expected, limit < 780));
    }
    let conflicting: Vec<(String, Value)> = (0..40).map(|i| (format!("s{i}"), json!({"role": i}))).collect();
    let defined: Vec<(&str, Value)> =
        conflicting.iter().map(|(name, value)| (&**name, value.clone())).collect();
    let all = defined.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(" ");
    for (limit, expected) in [(5, 5), (780, 780), (1000, 780)] {
        let report = lint(limit, &defined, &[mapping("one", "acme", &all)]);
        assert_eq!((report.findings.len(), report.truncated), (expected, limit < 780));
    }
}
