//! Why a request is granted or refused, rule by rule.
//!
//! The decision itself is [`evaluate`]'s, the same that an exchange makes; here it is only put into words. So an
//! explanation cannot differ from what an exchange does.

use std::fmt::Write;

use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    evaluation::{Granted, Refusal, Wanted, evaluate},
    exchange::TokenProfile,
    policy::{Denial, Words},
    store::Policy,
};

/// The rules in the order in which they apply.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Rule {
    /// There is a mapping of the client for the participant context.
    Mapping,
    /// It has not expired.
    Expiry,
    /// It has all requested scopes.
    Scopes,
    /// It allows all requested audiences, or the default one when none is requested.
    Audience,
    /// The claims of the granted scopes do not contradict each other.
    Claims,
}

impl Rule {
    const ALL: [Self; 5] = [Self::Mapping, Self::Expiry, Self::Scopes, Self::Audience, Self::Claims];
}

impl From<&Refusal> for Rule {
    fn from(refusal: &Refusal) -> Self {
        match refusal {
            Refusal::Denied(Denial::NoMapping) => Self::Mapping,
            Refusal::Denied(Denial::Expired(_)) => Self::Expiry,
            Refusal::Denied(Denial::ScopesNotGranted(_)) => Self::Scopes,
            Refusal::Denied(Denial::AudiencesNotAllowed(_) | Denial::DefaultAudienceNotAllowed(_)) => {
                Self::Audience
            }
            Refusal::Conflict(_) => Self::Claims,
        }
    }
}

/// What became of one rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Step {
    /// Which rule.
    pub rule: Rule,
    /// Whether it held.
    pub held: bool,
    /// On what grounds, for people.
    pub detail: String,
}

/// A decision with its grounds.
#[derive(Debug)]
pub struct Explanation {
    /// The decision.
    pub outcome: Result<Granted, Refusal>,
    /// The rules that were applied, in their order; the last one is the one that refused, if any did.
    pub steps: Vec<Step>,
}

/// Decides on a request and says why.
#[must_use]
pub fn explain(
    policy: Option<&Policy>,
    wanted: &Wanted<'_>,
    profile: &TokenProfile,
    now: Timestamp,
) -> Explanation {
    let outcome = evaluate(policy, wanted, profile, now);
    let refused_by = outcome.as_ref().err().map(Rule::from);
    let mut steps = Vec::new();
    if let Some(policy) = policy {
        let held = Rule::ALL.into_iter().take_while(|rule| Some(*rule) != refused_by);
        steps.extend(held.map(|rule| Step { rule, held: true, detail: grounds(rule, policy, &outcome) }));
    }
    if let Err(refusal) = &outcome {
        steps.push(Step { rule: Rule::from(refusal), held: false, detail: refusal.to_string() });
    }
    Explanation { outcome, steps }
}

/// Why a rule held.
fn grounds(rule: Rule, policy: &Policy, outcome: &Result<Granted, Refusal>) -> String {
    let mapping = policy.mapping();
    let granted = outcome.as_ref().ok();
    match rule {
        Rule::Mapping => {
            let key = mapping.key();
            format!("there is a mapping of {} for {}", key.client_identifier, key.participant_context)
        }
        Rule::Expiry => mapping.expires_at().map_or_else(
            || "the mapping does not expire".into(),
            |at| format!("the mapping is good until {at}"),
        ),
        Rule::Scopes => match granted {
            Some(granted) if granted.grant.scopes.is_empty() => "no scope is requested".into(),
            Some(granted) => {
                format!("the mapping has the requested scopes: {}", Words(&granted.grant.scopes))
            }
            None => "the mapping has the requested scopes".into(),
        },
        Rule::Audience => match granted {
            Some(granted) => format!("allowed: {}", Words(&granted.grant.audiences)),
            None => "the audience is allowed".into(),
        },
        Rule::Claims => granted.map_or_else(String::new, |granted| claims(policy, granted)),
    }
}

fn claims(policy: &Policy, granted: &Granted) -> String {
    let names = granted.scope_claims.names();
    let mut text = if names.is_empty() {
        "the granted scopes add no claim".to_owned()
    } else {
        format!("the granted scopes add the claims {}", Words(names))
    };
    let unmapped: Vec<_> =
        granted.grant.scopes.iter().filter(|scope| policy.scope(scope).is_none()).collect();
    if !unmapped.is_empty() {
        // Writing to a String cannot fail.
        let _ = write!(text, "; without a scope mapping, and so without a claim: {}", Words(&unmapped));
    }
    text
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;

    use super::*;
    use crate::{
        Audience, ClientIdentifier, ParticipantContext, Scope,
        mapping::{ClaimRules, MappingKey, ResourceMapping, ScopeMapping},
    };

    const NOW: Timestamp = Timestamp::constant(1_800_000_000, 0);

    fn profile() -> TokenProfile {
        TokenProfile {
            issuer: "https://jwtlet".into(),
            cluster_issuer: "https://cluster".into(),
            client_audience: Audience::parse("exchange").unwrap(),
            default_audience: Audience::parse("default").unwrap(),
            ttl_secs: 300,
            claim_rules: Arc::new(ClaimRules::new("pc".into(), ["scope".to_owned()].into()).unwrap()),
        }
    }

    fn scope(name: &str) -> Scope {
        Scope::parse(name).unwrap()
    }

    fn policy() -> Policy {
        let key = MappingKey {
            client_identifier: ClientIdentifier::parse("client").unwrap(),
            participant_context: ParticipantContext::parse("acme").unwrap(),
        };
        let scopes = ["read", "write", "bare"].map(scope).to_vec();
        let mapped = |name, role| {
            let claims = json!({"role": role}).as_object().unwrap().clone();
            Arc::new(ScopeMapping::restore(scope(name), claims))
        };
        Policy::new(
            ResourceMapping::new(key, scopes, vec![]).unwrap(),
            vec![mapped("read", "reader"), mapped("write", "writer")],
        )
    }

    fn steps(policy: Option<&Policy>, scopes: &[&str], audiences: &[&str]) -> String {
        let scopes: Vec<Scope> = scopes.iter().map(|name| scope(name)).collect();
        let audiences: Vec<Audience> = audiences.iter().map(|name| Audience::parse(name).unwrap()).collect();
        let wanted = Wanted { scopes: &scopes, audiences: &audiences };
        let steps = explain(policy, &wanted, &profile(), NOW).steps;
        let line = |step: &Step| format!("{:?} {}: {}", step.rule, step.held, step.detail);
        steps.iter().map(line).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn a_grant_is_explained_rule_by_rule() {
        assert_eq!(
            steps(Some(&policy()), &["read", "bare"], &[]),
            "Mapping true: there is a mapping of client for acme\n\
             Expiry true: the mapping does not expire\n\
             Scopes true: the mapping has the requested scopes: read bare\n\
             Audience true: allowed: default\n\
             Claims true: the granted scopes add the claims role; without a scope mapping, and so without a claim: bare"
        );
    }

    #[test]
    fn a_refusal_ends_with_the_rule_that_refused() {
        let refused = |policy, scopes: &[&str], audiences: &[&str]| {
            let steps = steps(policy, scopes, audiences);
            (steps.lines().count(), steps.lines().last().unwrap().split(':').next().unwrap().to_owned())
        };
        let policy = policy();
        let expired = Policy::new(policy.mapping().clone().with_expiry(Some(NOW)), vec![]);
        assert_eq!(refused(None, &[], &[]), (1, "Mapping false".into()));
        assert_eq!(refused(Some(&expired), &[], &[]), (2, "Expiry false".into()));
        assert_eq!(refused(Some(&policy), &["admin"], &[]), (3, "Scopes false".into()));
        assert_eq!(refused(Some(&policy), &[], &["other"]), (4, "Audience false".into()));
        assert_eq!(refused(Some(&policy), &["read", "write"], &[]), (5, "Claims false".into()));
    }
}
