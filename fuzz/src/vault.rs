use std::collections::HashSet;

use jiff::Timestamp;
use jwtlet_vault::fuzzing::{VERSION, key, login, refusal, signature, signatures};
use serde_json::Value;

/// An answer of Vault: the description of a key, signatures, a refusal, a login.
///
/// A key set has each `kid` once and no private member, and the one that signs is in it. An answer has as many results
/// as there were messages, and a signature has the length and the version that were asked for. What is logged of a refusal is short and on
/// one line.
///
/// # Panics
/// Where that does not hold.
pub fn vault(data: &[u8]) {
    let now = Timestamp::from_second(1_800_000_000).unwrap_or_default();
    if let Some((set, signing)) = key(data, now) {
        let ids: HashSet<_> = set.keys.iter().map(jwtlet_core::jwk::Jwk::kid).collect();
        assert_eq!(ids.len(), set.keys.len());
        assert!(signing.is_none_or(|signing| ids.contains(signing.as_str())));
        let written = serde_json::to_value(&set).unwrap_or_default();
        let is_public =
            |key: &Value| ["d", "p", "q", "k", "dp", "dq", "qi"].iter().all(|name| key.get(name).is_none());
        assert!(written["keys"].as_array().is_some_and(|keys| keys.iter().all(is_public)));
    }
    let prefix = format!("\"vault:v{VERSION}:");
    for messages in 0..4 {
        if let Some(found) = signatures(data, messages) {
            assert_eq!(found.len(), messages);
            let found = found.iter().flatten();
            assert!(found.clone().all(|signature| signature.len() == 64));
            assert!(
                found.count() <= String::from_utf8_lossy(data).matches(&prefix).count() || has_escapes(data)
            );
        }
    }
    assert!(signature(data).is_none_or(|signature| signature.len() == 64));
    let line = refusal(data);
    assert!(!line.contains(char::is_control) && line.len() < 10_000, "{line:?}");
    let _ = login(data);
}

/// Whether a text in the JSON may be written in another way.
fn has_escapes(data: &[u8]) -> bool {
    data.contains(&b'\\')
}
