//! Names in paths, decoded once and strictly.
//!
//! The router matches the raw path, so `%2F` stays part of a name; what it hands on is decoded leniently, hence this.

use std::borrow::Cow;

use axum::http::{StatusCode, Uri};
use jwtlet_core::{ClientIdentifier, ParticipantContext, Scope, mapping::MappingKey, name::NameError};

use crate::http::{error::Problem, form};

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

/// The filters of a list, each at most once.
pub(super) struct Query<'a>(Vec<form::Pair<'a>>);

impl<'a> Query<'a> {
    /// Reads the query, refusing parameters that are not among the known ones and, unlike at the token endpoint, taking
    /// empty ones for what they are: a list that ignores a filter shows more than was asked for.
    pub(super) fn read(uri: &'a Uri, known: &[&str]) -> Result<Self, Problem> {
        let parameters = form::pairs(uri.query().unwrap_or_default())
            .map_err(|error| Problem::bad_request(format!("the query: {error}")))?;
        for (i, (name, _)) in parameters.iter().enumerate() {
            if !known.contains(&name.as_ref()) {
                let detail = format!("the query parameter {name} is not one of {}", known.join(", "));
                return Err(Problem::bad_request(detail));
            }
            if parameters.iter().skip(i + 1).any(|(other, _)| other == name) {
                return Err(Problem::bad_request(format!(
                    "the query parameter {name} must be given once only"
                )));
            }
        }
        Ok(Self(parameters))
    }

    /// A filter, if it is given.
    pub(super) fn filter<T>(
        &self,
        name: &str,
        parse: impl Fn(&str) -> Result<T, NameError>,
    ) -> Result<Option<T>, Problem> {
        let value = self.0.iter().find(|(given, _)| given == name).map(|(_, value)| parse(value));
        value.transpose().map_err(|rule| Problem::bad_request(format!("the query parameter {name} {rule}")))
    }
}
