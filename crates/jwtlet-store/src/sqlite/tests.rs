//! What needs a hand on the connections.

use std::sync::Arc;

use jiff::Timestamp;
use jwtlet_core::{
    ClientIdentifier, ParticipantContext, Scope, Subject,
    audit::ChainVerifier,
    change::{Author, Change, ChangeError},
    mapping::{MappingKey, ResourceMapping},
    store::{MappingFilter, Page},
    upstream::chain,
};

use super::{Sqlite, open::open_file};
use crate::engine::Engine;

fn author() -> Author {
    let identity = ClientIdentifier::parse("admin").unwrap();
    Author {
        subject: Subject { identity, uid: None },
        request_id: "r".into(),
        apply_id: None,
        at: Timestamp::constant(1_800_000_000, 0),
    }
}

/// Creations of mappings that take some ten kilobytes each.
fn creations(client: &str, count: usize) -> Vec<Change> {
    let scopes: Vec<_> = (0..100).map(|n| Scope::parse(&format!("{n:->100}")).unwrap()).collect();
    let mapping = |n: usize| {
        let key = MappingKey {
            client_identifier: ClientIdentifier::parse(client).unwrap(),
            participant_context: ParticipantContext::parse(&n.to_string()).unwrap(),
        };
        Change::CreateMapping(ResourceMapping::new(key, scopes.clone(), vec![]).unwrap())
    };
    (0..count).map(mapping).collect()
}

#[tokio::test]
async fn a_full_disk_stops_changes_wholly_and_room_on_it_lets_them_go_on() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("jwtlet.db");
    let sqlite = Sqlite::file(path.clone());
    sqlite.pools.get_or_try_init(|| open_file(&path)).await.unwrap();
    let engine = Arc::new(Engine::new(sqlite, 0));
    let limit = async |statement: &'static str| {
        let write = &engine.database().pools.get().unwrap().write;
        sqlx::raw_sql(statement).execute(write).await.unwrap();
    };
    Arc::clone(&engine).change(creations("before", 5), author()).await.unwrap();

    limit("PRAGMA max_page_count = 100").await;
    for _ in 0..3 {
        let error = Arc::clone(&engine).change(creations("full", 50), author()).await.unwrap_err();
        assert!(chain(&error).contains("database or disk is full"), "{}", chain(&error));
        assert!(matches!(error, ChangeError::Upstream(_)));
        let all = engine.list_mappings(&MappingFilter::default(), &Page::first(100)).await.unwrap();
        assert_eq!(all.len(), 5);
    }
    limit("PRAGMA max_page_count = 1000000").await;
    Arc::clone(&engine).change(creations("full", 50), author()).await.unwrap();
    let mut verifier = ChainVerifier::default();
    for record in engine.chain(&Page::first(100)).await.unwrap() {
        verifier.follow(&record).unwrap();
    }
    assert_eq!(verifier.head().sequence, 55);
    verifier.finish(engine.chain_head().await.unwrap()).unwrap();
}
