use std::collections::HashSet;

use jwtlet_cli::fuzzing;

/// Files with documents of a policy, as the command reads them.
///
/// What is accepted is in the body of the apply, all of it, and no record twice.
///
/// # Panics
/// Where that does not hold.
pub fn policy(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Some((body, documents)) = fuzzing::policy(text) else { return };
    let mut records = 0;
    for (list, members) in
        [("resourceMappings", &["clientIdentifier", "participantContext"][..]), ("scopeMappings", &["scope"])]
    {
        let mut keys = HashSet::new();
        for record in body[list].as_array().into_iter().flatten() {
            records += 1;
            assert!(record.get("kind").is_none(), "{record}");
            let key: Option<Vec<&str>> = members.iter().map(|member| record[*member].as_str()).collect();
            if let Some(key) = key {
                assert!(keys.insert(key.join("\n")), "{record} is there twice");
            }
        }
    }
    assert_eq!(records, documents, "{body}");
    assert_eq!(body.as_object().map_or(0, serde_json::Map::len), 2, "{body}");
}
