//! The decision: what of a request a mapping grants.
//!
//! All or nothing. A request that asks for one thing too many gets nothing, because a client that receives less than it
//! asked for tends to find out in production.

use std::sync::Arc;

use jiff::Timestamp;

use crate::{Audience, Scope, store::Policy};

/// What the token will say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// The granted scopes in request order.
    pub scopes: Arc<[Scope]>,
    /// The audiences in request order, at least one.
    pub audiences: Vec<Audience>,
}

/// Why nothing is granted. The texts speak of the request and of the client's own mapping only.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Denial {
    /// The client may not act for the participant context.
    #[error("this client has no mapping for the requested participant context; ask for one to be created")]
    NoMapping,
    /// It might, until this time.
    #[error(
        "the mapping of this client for the requested participant context expired at {0}; ask for its renewal"
    )]
    Expired(Timestamp),
    /// These scopes are outside the mapping.
    #[error("request only granted scopes; not granted to this client for this participant context: {}", Words(.0))]
    ScopesNotGranted(Vec<Scope>),
    /// These audiences are not allowed.
    #[error("request an allowed audience; not allowed for this client and participant context: {}", Words(.0))]
    AudiencesNotAllowed(Vec<Audience>),
    /// No audience was requested, and the default one is not allowed.
    #[error(
        "the default audience {0} is not allowed for this client and participant context; request an allowed one"
    )]
    DefaultAudienceNotAllowed(Audience),
}

/// The first few of a list, and how many more there are.
pub(crate) struct Words<'a, T>(pub(crate) &'a [T]);

impl<T: std::fmt::Display> std::fmt::Display for Words<'_, T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // A request may name hundreds; the first few are enough to find the mistake.
        for (i, word) in self.0.iter().take(5).enumerate() {
            write!(f, "{}{word}", if i == 0 { "" } else { " " })?;
        }
        match self.0.len().saturating_sub(5) {
            0 => Ok(()),
            more => write!(f, " and {more} more"),
        }
    }
}

/// Decides what a policy grants of a request for these scopes and audiences.
///
/// # Errors
/// The first rule that refuses, in the order: expiry, scopes, audience.
pub fn decide(
    policy: &Policy,
    scopes: &[Scope],
    audiences: &[Audience],
    default_audience: &Audience,
    now: Timestamp,
) -> Result<Grant, Denial> {
    let mapping = policy.mapping();
    if let Some(expires_at) = mapping.expires_at().filter(|expires_at| *expires_at <= now) {
        return Err(Denial::Expired(expires_at));
    }
    let scopes = policy.grant(scopes).map_err(Denial::ScopesNotGranted)?;
    let audiences = decide_audiences(mapping.audiences(), audiences, default_audience)?;
    Ok(Grant { scopes, audiences })
}

/// The audience table of the contract. An empty list of allowed audiences allows the default one alone; a list that is
/// not empty allows exactly what it names, the default included only by name.
fn decide_audiences(
    allowed: &[Audience],
    requested: &[Audience],
    default: &Audience,
) -> Result<Vec<Audience>, Denial> {
    let is_allowed = |audience: &Audience| {
        if allowed.is_empty() { audience == default } else { allowed.contains(audience) }
    };
    if requested.is_empty() {
        return if is_allowed(default) {
            Ok(vec![default.clone()])
        } else {
            Err(Denial::DefaultAudienceNotAllowed(default.clone()))
        };
    }
    let outside: Vec<_> = requested.iter().filter(|audience| !is_allowed(audience)).cloned().collect();
    if outside.is_empty() { Ok(requested.to_vec()) } else { Err(Denial::AudiencesNotAllowed(outside)) }
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;
    use crate::{
        ClientIdentifier, ParticipantContext,
        mapping::{MappingKey, ResourceMapping},
    };

    const NOW: Timestamp = Timestamp::constant(1_800_000_000, 0);

    fn audiences(names: &[&str]) -> Vec<Audience> {
        names.iter().map(|name| Audience::parse(name).unwrap()).collect()
    }

    fn scopes(names: &[&str]) -> Vec<Scope> {
        names.iter().map(|name| Scope::parse(name).unwrap()).collect()
    }

    fn mapping(granted: &[&str], allowed: Vec<Audience>) -> ResourceMapping {
        let key = MappingKey {
            client_identifier: ClientIdentifier::parse("client").unwrap(),
            participant_context: ParticipantContext::parse("tenant").unwrap(),
        };
        ResourceMapping::new(key, scopes(granted), allowed).unwrap()
    }

    fn default() -> Audience {
        Audience::parse("default").unwrap()
    }

    fn ask(mapping: &ResourceMapping, wanted: &[&str], audience: &[&str]) -> Result<Grant, Denial> {
        let policy = Policy::new(mapping.clone(), Vec::new());
        decide(&policy, &scopes(wanted), &audiences(audience), &default(), NOW)
    }

    #[test]
    fn every_row_of_the_audience_table() {
        let granted = |requested: &[&str], allowed: &[&str]| {
            ask(&mapping(&[], audiences(allowed)), &[], requested).map(|grant| grant.audiences)
        };
        assert_eq!(granted(&[], &[]), Ok(audiences(&["default"])));
        assert_eq!(granted(&[], &["other", "default"]), Ok(audiences(&["default"])));
        assert_eq!(granted(&[], &["other"]), Err(Denial::DefaultAudienceNotAllowed(default())));
        assert_eq!(granted(&["default"], &[]), Ok(audiences(&["default"])));
        assert_eq!(granted(&["other"], &[]), Err(Denial::AudiencesNotAllowed(audiences(&["other"]))));
        assert_eq!(granted(&["other"], &["other"]), Ok(audiences(&["other"])));
        assert_eq!(
            granted(&["default"], &["other"]),
            Err(Denial::AudiencesNotAllowed(audiences(&["default"])))
        );
        assert_eq!(granted(&["b", "a"], &["a", "b", "c"]), Ok(audiences(&["b", "a"])));
        assert_eq!(granted(&["a", "x"], &["a", "b"]), Err(Denial::AudiencesNotAllowed(audiences(&["x"]))));
    }

    #[test]
    fn one_scope_too_many_refuses_the_whole_request() {
        let mapping = mapping(&["read", "write"], vec![]);
        assert_eq!(
            ask(&mapping, &["write", "read"], &[]).unwrap().scopes[..],
            scopes(&["write", "read"])[..]
        );
        assert_eq!(ask(&mapping, &[], &[]).unwrap().scopes[..], []);
        let denial = ask(&mapping, &["read", "admin"], &[]).unwrap_err();
        assert_eq!(
            denial.to_string(),
            "request only granted scopes; not granted to this client for this participant context: admin"
        );
    }

    #[test]
    fn a_mapping_grants_until_the_instant_of_its_expiry() {
        let second = jiff::SignedDuration::from_secs(1);
        let until = |at| mapping(&["read"], vec![]).with_expiry(Some(at));
        assert!(ask(&until(NOW + second), &["read"], &[]).is_ok());
        assert_eq!(ask(&until(NOW), &["read"], &[]), Err(Denial::Expired(NOW)));
    }

    #[test]
    fn long_lists_are_cut_in_messages() {
        let names = ["a", "b", "c", "d", "e", "f", "g"];
        let denial = ask(&mapping(&[], vec![]), &names, &[]).unwrap_err();
        assert!(denial.to_string().ends_with("a b c d e and 2 more"), "{denial}");
    }

    fn some_audiences() -> impl Strategy<Value = Vec<Audience>> {
        vec(prop::sample::select(vec!["default", "a", "b", "c"]), 0..4).prop_map(|names| audiences(&names))
    }

    proptest! {
        #[test]
        fn a_granted_audience_was_requested_and_allowed(allowed in some_audiences(), requested in some_audiences()) {
            let mapping = mapping(&[], allowed.clone());
            let allows = |audience: &Audience| {
                if allowed.is_empty() { *audience == default() } else { allowed.contains(audience) }
            };
            let wanted = if requested.is_empty() { vec![default()] } else { requested.clone() };
            let policy = Policy::new(mapping, Vec::new());
            match decide(&policy, &[], &requested, &default(), NOW) {
                Ok(grant) => {
                    prop_assert!(wanted.iter().all(allows));
                    prop_assert_eq!(grant.audiences, wanted);
                }
                Err(_) => prop_assert!(!wanted.iter().all(allows)),
            }
        }

        #[test]
        fn granting_more_scopes_never_refuses_what_was_granted(
            granted in vec(0..6_u8, 0..5), extra in vec(0..6_u8, 0..5), wanted in vec(0..6_u8, 0..4),
        ) {
            let scopes = |ids: &[u8]| ids.iter().map(|id| Scope::parse(&format!("s{id}")).unwrap()).collect::<Vec<_>>();
            let key = mapping(&[], vec![]).key().clone();
            let narrow = ResourceMapping::new(key.clone(), scopes(&granted), vec![]).unwrap();
            let wide = ResourceMapping::new(key, scopes(&[granted, extra].concat()), vec![]).unwrap();
            let decide = |mapping| {
                let policy = Policy::new(mapping, Vec::new());
                decide(&policy, &scopes(&wanted), &[], &default(), NOW).is_ok()
            };
            prop_assert!(!decide(narrow) || decide(wide));
        }
    }
}
