//! `kill -9` while policy changes: what was acknowledged is there afterwards, and the trail tells exactly how it came.

use std::{
    collections::BTreeMap,
    hash::{BuildHasher, RandomState},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use jwtlet_testkit::wait_until;
use reqwest::{Client, Method};
use serde_json::{Value, json};
use tokio::{sync::watch, task::JoinSet};

use crate::{
    fleet::{Replica, Storage, client, sqlite},
    harness::{MANAGEMENT_AUDIENCE, PATIENCE},
    paging::link,
    program::Neighbours,
};

const ACKNOWLEDGED: usize = 1_000;
const KILLS: usize = 8;
const WRITERS: usize = 4;
const KEYS: usize = 5;

/// Chance, from a seed that no other run has.
struct Chance(u64);

impl Chance {
    fn fresh() -> Self {
        Self(RandomState::new().hash_one("chance"))
    }

    fn below(&mut self, bound: usize) -> usize {
        self.0 = RandomState::new().hash_one(self.0);
        usize::try_from(self.0 % bound as u64).unwrap()
    }
}

/// One of several callers, each with records of its own, who remembers what was acknowledged.
struct Writer {
    name: String,
    token: String,
    http: Client,
    /// Where the management API is at the moment.
    server: watch::Receiver<String>,
    /// The description of each record that exists.
    known: BTreeMap<String, String>,
    chance: Chance,
    step: usize,
}

impl Writer {
    /// Makes one change. Gives whether it was acknowledged; if not, it asks what became of it.
    async fn write(&mut self) -> bool {
        self.step += 1;
        let context = format!("context-{}", self.chance.below(KEYS));
        let description = format!("step {}", self.step);
        let record = json!({
            "clientIdentifier": self.name, "participantContext": context, "scopes": ["read"], "description": description,
        });
        let one = format!("/mappings/{}/{context}", self.name);
        let exists = self.known.contains_key(&context);
        let (method, path) = match (exists, self.chance.below(3)) {
            (false, _) => (Method::POST, "/mappings"),
            (true, 0) => (Method::DELETE, &*one),
            (true, _) => (Method::PUT, &*one),
        };
        let becomes = (method != Method::DELETE).then_some(description);
        let url = format!("{}/api/v1{path}", &*self.server.borrow());
        let request = self.http.request(method, url).bearer_auth(&self.token).json(&record);
        let acknowledged = match request.send().await {
            Ok(answer) if answer.status().is_success() => true,
            Ok(answer) => {
                assert_eq!(answer.status(), 503, "{path}");
                false
            }
            Err(_) => false,
        };
        if acknowledged {
            self.remember(context, becomes);
        } else {
            let found = self.ask(&one).await;
            let before = self.known.get(&context).cloned();
            assert!(
                found == before || found == becomes,
                "{one}: {found:?} is neither {before:?} nor {becomes:?}"
            );
            self.remember(context, found);
        }
        acknowledged
    }

    fn remember(&mut self, context: String, description: Option<String>) {
        match description {
            Some(description) => self.known.insert(context, description),
            None => self.known.remove(&context),
        };
    }

    /// The description of a record, as soon as there is a server that says.
    async fn ask(&mut self, path: &str) -> Option<String> {
        loop {
            let url = format!("{}/api/v1{path}", &*self.server.borrow());
            if let Ok(answer) = self.http.get(url).bearer_auth(&self.token).send().await {
                match answer.status().as_u16() {
                    200 => {
                        let record: Value = answer.json().await.unwrap();
                        return Some(record["description"].as_str().unwrap().to_owned());
                    }
                    404 => return None,
                    status => assert_eq!(status, 503),
                }
            }
            tokio::task::yield_now().await;
        }
    }
}

/// The records that the trail says there are: the last state that it tells of each key.
fn replayed(trail: &[Value]) -> Vec<Value> {
    let mut records: BTreeMap<(String, String), Value> = BTreeMap::new();
    for record in trail {
        let name = |member: &str| record["key"][member].as_str().unwrap().to_owned();
        let key = (name("clientIdentifier"), name("participantContext"));
        let before = records.remove(&key).unwrap_or_default();
        assert_eq!(record["before"], before, "{record}");
        if !record["after"].is_null() {
            records.insert(key, record["after"].clone());
        }
    }
    records.into_values().collect()
}

async fn trail(server: &Replica) -> Vec<Value> {
    let mut records = Vec::new();
    let mut next = Some("/audit?limit=1000".to_owned());
    while let Some(path) = next {
        let answer = server.call(Method::GET, &path, None).await;
        records.extend(serde_json::from_str::<Vec<Value>>(&answer.body).unwrap());
        next = link(&answer);
    }
    records.reverse();
    records
}

pub(crate) async fn nothing_acknowledged_is_lost(storage: Storage) {
    let neighbours = Neighbours::start().await;
    let mut server = Replica::start(&neighbours, &storage).await;
    let (told, address) = watch::channel(server.management.clone());
    let acknowledged = Arc::new(AtomicUsize::new(0));
    let mut writers = JoinSet::new();
    for i in 0..WRITERS {
        let mut writer = Writer {
            name: format!("writer-{i}"),
            token: neighbours.kubernetes.token("ops", "admin").audience(MANAGEMENT_AUDIENCE).mint(),
            http: client(),
            server: address.clone(),
            known: BTreeMap::new(),
            chance: Chance::fresh(),
            step: 0,
        };
        let acknowledged = Arc::clone(&acknowledged);
        writers.spawn(async move {
            while acknowledged.load(Ordering::Relaxed) < ACKNOWLEDGED {
                if writer.write().await {
                    acknowledged.fetch_add(1, Ordering::Relaxed);
                }
            }
            writer
        });
    }
    let mut chance = Chance::fresh();
    for kill in 0..KILLS {
        let at = kill * ACKNOWLEDGED / KILLS + chance.below(ACKNOWLEDGED / KILLS);
        wait_until(|| acknowledged.load(Ordering::Relaxed) >= at, PATIENCE * 6).await.unwrap();
        drop(server);
        server = Replica::start(&neighbours, &storage).await;
        told.send_replace(server.management.clone());
    }
    let mut expected = BTreeMap::new();
    for writer in writers.join_all().await {
        let records = writer.known.into_iter();
        expected.extend(records.map(|(context, description)| ((writer.name.clone(), context), description)));
    }
    drop(server);

    let server = Replica::start(&neighbours, &storage).await;
    let records = server.call(Method::GET, "/mappings", None).await.json().as_array().unwrap().clone();
    let text = |record: &Value, member: &str| record[member].as_str().unwrap().to_owned();
    let found: BTreeMap<_, _> = records
        .iter()
        .map(|record| {
            (
                (text(record, "clientIdentifier"), text(record, "participantContext")),
                text(record, "description"),
            )
        })
        .collect();
    assert_eq!(found, expected);
    let trail = trail(&server).await;
    assert!(trail.len() >= ACKNOWLEDGED, "{}", trail.len());
    assert_eq!(replayed(&trail), records);
    let verdict = server.call(Method::GET, "/audit/verify", None).await.json();
    assert_eq!((&verdict["intact"], &verdict["records"]), (&json!(true), &json!(trail.len())));
}

#[tokio::test]
async fn a_killed_process_loses_nothing_that_sqlite_acknowledged() {
    let files = tempfile::tempdir().unwrap();
    nothing_acknowledged_is_lost(sqlite(&files.path().join("policy.db"))).await;
}
