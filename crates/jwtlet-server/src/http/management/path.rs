//! Names in paths and queries, decoded once and strictly.
//!
//! The router matches the raw path, so `%2F` stays part of a name; what it hands on is decoded leniently, hence this.

use std::{borrow::Cow, fmt::Display};

use axum::http::{StatusCode, Uri};
use jwtlet_core::{
    ClientIdentifier, ParticipantContext, Scope,
    audit::AuditKey,
    mapping::MappingKey,
    metadata::{LabelSelector, MAX_LABELS, MetadataFilter},
    name::{LabelKey, LabelValue, NameError, Owner},
};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::parameters;
use crate::http::{error::Problem, form, openapi::QueryParameter, wording::fit};

/// What has to be escaped in a path segment and in a value of a query. Colons stay readable.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b':');

/// The most items of one page.
pub(super) const MAX_LIMIT: usize = 1_000;

/// The decoded segments at the end of the path.
fn last_segments<const N: usize>(uri: &Uri) -> Result<[String; N], Problem> {
    let mut segments: Vec<String> = uri
        .path()
        .rsplit('/')
        .take(N)
        .map(|segment| {
            form::decode(segment)
                .map(Cow::into_owned)
                .map_err(|error| Problem::bad_request(format!("the path: {error}")))
        })
        .collect::<Result<_, _>>()?;
    if segments.iter().any(String::is_empty) {
        return Err(Problem::new(StatusCode::NOT_FOUND, "there is nothing at a path with an empty segment"));
    }
    segments.reverse();
    segments.try_into().map_err(|_| Problem::bad_request("the path is too short"))
}

fn name<T>(field: &str, parsed: Result<T, NameError>) -> Result<T, Problem> {
    parsed.map_err(|rule| Problem::bad_request(format!("{field} in the path {rule}")))
}

/// `/mappings/{client}/{context}`.
pub(super) fn mapping_key(uri: &Uri) -> Result<MappingKey, Problem> {
    let [client, context] = last_segments(uri)?;
    Ok(MappingKey {
        client_identifier: name("clientIdentifier", ClientIdentifier::parse(&client))?,
        participant_context: name("participantContext", ParticipantContext::parse(&context))?,
    })
}

/// `/mappings/{client}`.
pub(super) fn client(uri: &Uri) -> Result<ClientIdentifier, Problem> {
    let [client] = last_segments(uri)?;
    name("clientIdentifier", ClientIdentifier::parse(&client))
}

/// `/scopes/{scope}`.
pub(super) fn scope(uri: &Uri) -> Result<Scope, Problem> {
    let [scope] = last_segments(uri)?;
    name("scope", Scope::parse(&scope))
}

/// The record that a path names, as far as it does: for a record of an attempt whose path may break any rule.
pub(super) fn audit_key(uri: &Uri) -> AuditKey {
    let name = |segment: Option<&str>| {
        let text = form::decode(segment.filter(|segment| !segment.is_empty())?).ok()?;
        Some(fit(&text).into_owned())
    };
    let mut segments = uri.path().split('/').skip(1);
    match segments.next() {
        Some("mappings") => AuditKey {
            client_identifier: name(segments.next()),
            participant_context: name(segments.next()),
            scope: None,
        },
        Some("scopes") => AuditKey { scope: name(segments.next()), ..AuditKey::default() },
        _ => AuditKey::default(),
    }
}

/// Where a resource mapping is.
pub(super) fn of_mapping(key: &MappingKey) -> String {
    let (client, context) = (key.client_identifier.as_str(), key.participant_context.as_str());
    format!("/api/v1/mappings/{}/{}", escaped(client), escaped(context))
}

/// Where a scope mapping is.
pub(super) fn of_scope(scope: &Scope) -> String {
    format!("/api/v1/scopes/{}", escaped(scope.as_str()))
}

fn escaped(text: &str) -> impl Display {
    utf8_percent_encode(text, ESCAPED)
}

/// The parameter of a query that may be given several times.
const LABEL: &str = parameters::LABEL.name;

/// `key=value`, or a key alone.
fn selector(text: &str) -> Result<LabelSelector, String> {
    let (key, value) = match text.split_once('=') {
        Some((key, value)) => (key, Some(value)),
        None => (text, None),
    };
    let value = value.map(LabelValue::parse).transpose().map_err(|rule| format!("the value {rule}"))?;
    Ok(LabelSelector { key: LabelKey::parse(key).map_err(|rule| format!("the key {rule}"))?, value })
}

/// The parameters of a query, each at most once but those that choose labels.
pub(super) struct Query<'a>(Vec<form::Pair<'a>>);

impl<'a> Query<'a> {
    /// Reads the query, refusing parameters that are not among the known ones and, unlike at the token endpoint, taking
    /// empty ones for what they are: a list that ignores a filter shows more than was asked for.
    pub(super) fn read(uri: &'a Uri, known: &[QueryParameter]) -> Result<Self, Problem> {
        let parameters = form::pairs(uri.query().unwrap_or_default())
            .map_err(|error| Problem::bad_request(format!("the query: {error}")))?;
        for (i, (name, _)) in parameters.iter().enumerate() {
            if known.iter().all(|known| known.name != name) {
                let known: Vec<_> = known.iter().map(|known| known.name).collect();
                let detail = format!("the query parameter {name} is not one of {}", known.join(", "));
                return Err(Problem::bad_request(detail));
            }
            if name != LABEL && parameters.iter().skip(i + 1).any(|(other, _)| other == name) {
                return Err(Problem::bad_request(format!(
                    "the query parameter {name} must be given once only"
                )));
            }
        }
        Ok(Self(parameters))
    }

    /// A parameter, if it is given.
    pub(super) fn get<T, E: Display>(
        &self,
        name: &str,
        parse: impl Fn(&str) -> Result<T, E>,
    ) -> Result<Option<T>, Problem> {
        let value = self.0.iter().find(|(given, _)| given == name).map(|(_, value)| parse(value));
        value.transpose().map_err(|rule| Problem::bad_request(format!("the query parameter {name} {rule}")))
    }

    /// The filters for owner and labels, as far as they are given.
    pub(super) fn metadata(&self) -> Result<MetadataFilter, Problem> {
        let given = self.0.iter().filter(|(name, _)| name == LABEL);
        let labels = given.map(|(_, text)| selector(text)).collect::<Result<Vec<_>, _>>();
        let labels = labels.map_err(|rule| {
            Problem::bad_request(format!("the query parameter {LABEL}, as in key=value or key: {rule}"))
        })?;
        if labels.len() > MAX_LABELS {
            let detail = format!("the query parameter {LABEL} must be given at most {MAX_LABELS} times");
            return Err(Problem::bad_request(detail));
        }
        Ok(MetadataFilter { owner: self.get("owner", Owner::parse)?, labels })
    }

    /// A parameter as it is written, which must not be empty.
    pub(super) fn text(&self, name: &str) -> Result<Option<String>, Problem> {
        let not_empty =
            |text: &str| if text.is_empty() { Err("must not be empty") } else { Ok(text.to_owned()) };
        self.get(name, not_empty)
    }

    /// How many items to answer with at most, if that is said.
    pub(super) fn limit(&self) -> Result<Option<usize>, Problem> {
        self.get("limit", |text| {
            let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
            let limit = text.parse().ok().filter(|limit| is_number && (1..=MAX_LIMIT).contains(limit));
            limit.ok_or_else(|| format!("must be a whole number from 1 to {MAX_LIMIT}"))
        })
    }

    /// The same query with another cursor, to be put behind a path.
    pub(super) fn with_cursor(&self, cursor: &str) -> String {
        let kept = self.0.iter().filter(|(name, _)| name != "cursor");
        let pairs = kept.map(|(name, value)| format!("{name}={}&", escaped(value)));
        format!("?{}cursor={cursor}", pairs.collect::<String>())
    }
}
