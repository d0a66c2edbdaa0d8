//! Applying a policy: planned and made of one moment, wholly or not at all, and only once.

use jwtlet_core::{
    PolicyStore,
    apply::{ApplyError, Desired, Execution, Outcome, PlannedAction},
    audit::Hash,
    change::{Author, Change},
    mapping::{ResourceMapping, ScopeMapping},
    metadata::{Metadata, MetadataFilter},
    name::ApplyId,
};
use serde_json::json;

use crate::{
    fixture::{Fixture, author, key, mapping, replace, scope_mapping},
    metadata::owner,
};

fn owned_by(name: &str) -> Metadata {
    Metadata { owner: Some(owner(name)), ..Metadata::default() }
}

fn of_a(context: &str, scopes: &[&str]) -> ResourceMapping {
    mapping("a", context, scopes).with_metadata(owned_by("team-a"))
}

fn scope_of_a(name: &str, role: &str) -> ScopeMapping {
    scope_mapping(name, json!({"role": role})).with_metadata(owned_by("team-a"))
}

fn desired(mappings: &[ResourceMapping], scopes: &[ScopeMapping]) -> Desired {
    Desired {
        mappings: mappings.iter().map(|mapping| (mapping.key().clone(), mapping.clone())).collect(),
        scopes: scopes.iter().map(|mapping| (mapping.scope().clone(), mapping.clone())).collect(),
        prune: Some(owner("team-a")),
        take_over: false,
    }
}

async fn perform(
    fixture: &Fixture,
    desired: &Desired,
    expected: Option<Hash>,
) -> Result<Outcome, ApplyError> {
    let author = Author { apply_id: Some(ApplyId::parse("release-7").unwrap()), ..author() };
    fixture.store.apply(desired.clone(), Execution::Perform { expected }, &author).await
}

async fn dry_run(fixture: &Fixture, desired: &Desired) -> Outcome {
    fixture.store.apply(desired.clone(), Execution::DryRun, &author()).await.unwrap()
}

fn actions(outcome: &Outcome) -> Vec<String> {
    let line = |action, key: &dyn std::fmt::Display| format!("{action:?} {key}");
    outcome.plan.changes.iter().map(|change| line(change.action, &change.key)).collect()
}

pub(crate) async fn an_apply_makes_the_policy_what_is_desired(fixture: Fixture) {
    fixture.created(&[("b", "alien", &["read"])]).await;
    let old = [of_a("changed", &["read"]), of_a("pruned", &[]), of_a("same", &[])];
    fixture.change(old.map(Change::CreateMapping).to_vec()).await.unwrap();
    fixture.change(vec![Change::CreateScope(scope_of_a("old", "x"))]).await.unwrap();
    let desired = desired(
        &[of_a("changed", &["write"]), of_a("new", &[]), of_a("same", &[])],
        &[scope_of_a("read", "reader")],
    );
    let outcome = perform(&fixture, &desired, None).await.unwrap();
    assert_eq!(
        actions(&outcome),
        [
            "Change a mapping of a for changed",
            "Create a mapping of a for new",
            "Delete a mapping of a for pruned",
            "Delete a scope mapping of old",
            "Create a scope mapping of read",
        ]
    );
    assert_eq!((outcome.plan.unchanged, outcome.revision), (1, 5));
    assert_eq!(fixture.mappings().await, ["a/changed", "a/new", "a/same", "b/alien"]);
    let stored = fixture.store.mapping(&key("a", "changed")).await.unwrap().unwrap();
    assert_eq!((stored.version, stored.record), (2, of_a("changed", &["write"])));
    assert_eq!(
        fixture.trail().await[5..],
        [
            "mapping.update a/changed",
            "mapping.create a/new",
            "mapping.delete a/pruned",
            "scope.delete old",
            "scope.create read"
        ]
    );
    assert_eq!(fixture.verify(100).await.unwrap().sequence, 10);
}

pub(crate) async fn an_apply_that_is_repeated_writes_nothing(fixture: Fixture) {
    let desired = desired(&[of_a("t", &["write", "read"])], &[scope_of_a("read", "reader")]);
    let first = perform(&fixture, &desired, None).await.unwrap();
    assert_eq!(first.plan.changes.len(), 2);
    // Also with the digest that the first one was made by: its answer may have been lost.
    for expected in [None, Some(first.digest)] {
        let again = perform(&fixture, &desired, expected).await.unwrap();
        assert_eq!((again.plan.changes.len(), again.plan.unchanged), (0, 2));
    }
    assert_eq!(fixture.trail().await.len(), 2);
    assert_eq!(fixture.store.mapping(&key("a", "t")).await.unwrap().unwrap().version, 1);
}

pub(crate) async fn a_dry_run_tells_the_plan_and_writes_nothing(fixture: Fixture) {
    let desired = desired(&[of_a("t", &["read"])], &[]);
    let planned = dry_run(&fixture, &desired).await;
    assert!(fixture.mappings().await.is_empty() && fixture.trail().await.is_empty());
    let made = perform(&fixture, &desired, Some(planned.digest)).await.unwrap();
    assert_eq!((made.digest, made.plan.changes[0].action), (planned.digest, PlannedAction::Create));
    assert_eq!(fixture.trail().await, ["mapping.create a/t"]);
}

pub(crate) async fn a_plan_that_has_changed_is_not_made(fixture: Fixture) {
    fixture.change(vec![Change::CreateMapping(of_a("t", &["read"]))]).await.unwrap();
    let desired = desired(&[of_a("t", &["write"]), of_a("u", &[])], &[]);
    let seen = dry_run(&fixture, &desired).await.digest;
    fixture.change(vec![replace(of_a("t", &["admin"]))]).await.unwrap();
    let head = fixture.store.chain_head().await.unwrap();
    let error = perform(&fixture, &desired, Some(seen)).await.unwrap_err();
    assert!(matches!(error, ApplyError::PlanDiffers));
    assert_eq!(fixture.mappings().await, ["a/t"]);
    assert_eq!(fixture.store.chain_head().await.unwrap(), head);
    // What others do beside it does not count.
    let seen = dry_run(&fixture, &desired).await.digest;
    fixture.created(&[("b", "t", &[])]).await;
    perform(&fixture, &desired, Some(seen)).await.unwrap();
}

pub(crate) async fn records_of_others_are_left_alone_until_they_are_taken_over(fixture: Fixture) {
    fixture.created(&[("a", "t", &["read"])]).await;
    let mut desired = desired(&[of_a("new", &[]), of_a("t", &["read"])], &[]);
    let ApplyError::NotOwned(conflicts) = perform(&fixture, &desired, None).await.unwrap_err() else {
        panic!("another refusal")
    };
    let rule = "must be nobody, who owns the stored record, and not team-a; takeOver takes the record over";
    assert_eq!((conflicts.len(), conflicts[0].to_string()), (1, rule.to_owned()));
    assert_eq!(fixture.mappings().await, ["a/t"]);
    desired.take_over = true;
    perform(&fixture, &desired, None).await.unwrap();
    let taken = fixture.store.mapping(&key("a", "t")).await.unwrap().unwrap();
    assert_eq!(taken.record, of_a("t", &["read"]));
}

pub(crate) async fn what_an_apply_changes_is_forgotten(fixture: Fixture) {
    let before = desired(&[of_a("t", &["read"])], &[scope_of_a("read", "reader")]);
    perform(&fixture, &before, None).await.unwrap();
    fixture.remembered("a", "t", &["read"]).await;
    perform(&fixture, &desired(&[of_a("t", &["read"])], &[scope_of_a("read", "writer")]), None)
        .await
        .unwrap();
    let policy = fixture.look_up("a", "t", &["read"]).await.policy.unwrap();
    assert_eq!(policy.scopes()[0].claims()["role"], "writer");
    perform(&fixture, &desired(&[], &[]), None).await.unwrap();
    assert!(fixture.look_up("a", "t", &[]).await.policy.is_none());
}

pub(crate) async fn a_snapshot_has_the_records_that_match(fixture: Fixture) {
    fixture.created(&[("b", "alien", &["read"])]).await;
    perform(&fixture, &desired(&[of_a("t", &[]), of_a("u", &[])], &[scope_of_a("read", "x")]), None)
        .await
        .unwrap();
    let filter = MetadataFilter { owner: Some(owner("team-a")), labels: vec![] };
    let found = fixture.store.snapshot(&filter, 10).await.unwrap();
    let records: Vec<_> = found.mappings.into_iter().map(|stored| stored.record).collect();
    assert_eq!(records, [of_a("t", &[]), of_a("u", &[])]);
    assert_eq!(found.scopes[0].record, scope_of_a("read", "x"));
    let all = fixture.store.snapshot(&MetadataFilter::default(), 2).await.unwrap();
    assert_eq!((all.mappings.len(), all.scopes.len()), (2, 1));
}

pub(crate) async fn of_many_who_apply_the_same_plan_one_writes_it(fixture: Fixture) {
    let desired = desired(&[of_a("t", &["read"]), of_a("u", &["read"])], &[scope_of_a("read", "x")]);
    let applies = tokio::join!(
        perform(&fixture, &desired, None),
        perform(&fixture, &desired, None),
        perform(&fixture, &desired, None)
    );
    let mut written = [applies.0, applies.1, applies.2].map(|outcome| outcome.unwrap().plan.changes.len());
    written.sort_unstable();
    assert_eq!(written, [0, 0, 3]);
    assert_eq!(fixture.trail().await.len(), 3);
}

pub(crate) async fn ten_thousand_mappings_are_applied_changed_and_pruned(fixture: Fixture) {
    let all = |scope: &str| {
        let mappings: Vec<_> = (0..10_000).map(|n| of_a(&format!("{n:05}"), &[scope])).collect();
        desired(&mappings, &[])
    };
    let id = "release-7";
    for (desired, changes) in
        [(all("read"), 10_000), (all("read"), 0), (all("write"), 10_000), (desired(&[], &[]), 10_000)]
    {
        let outcome = perform(&fixture, &desired, None).await.unwrap();
        assert_eq!(outcome.plan.changes.len(), changes);
    }
    assert!(fixture.mappings().await.is_empty());
    assert_eq!(fixture.verify(4_000).await.unwrap().sequence, 30_000);
    let filter = jwtlet_core::audit::AuditFilter { apply_id: Some(id.into()), ..Default::default() };
    let last = fixture.store.audit(&filter, &jwtlet_core::store::Page::first(1)).await.unwrap();
    assert_eq!(last[0].sequence, 30_000);
}
