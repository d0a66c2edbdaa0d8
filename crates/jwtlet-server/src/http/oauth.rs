//! `POST /token`: the token endpoint of RFC 8693.

mod description;

use std::{collections::HashSet, time::Duration};

use axum::{
    BoxError,
    body::{Bytes, HttpBody},
    extract::Request,
    http::{HeaderMap, HeaderValue, Method, StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
};
use jwtlet_core::{
    Audience, ExchangeError, ExchangeRequest, ParticipantContext, Scope, Subject, SubjectToken,
    exchange::Issued,
    mapping::{MAX_AUDIENCES, MAX_SCOPES},
};
use memchr::memchr_iter;
use tracing::info;
use uuid::Uuid;

pub(super) use self::description::{describe, error as described_error};
use super::{
    Service,
    body::{self, BodyError},
    error::{ErrorCode, NO_STORE, OAuthError},
    form,
    wording::fit,
};
use crate::{clock, metrics::Reason};

const MAX_BODY_BYTES: usize = 64 * 1024;
const FORM: &str = "application/x-www-form-urlencoded";
const GRANT_TYPE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
const JWT: &str = "urn:ietf:params:oauth:token-type:jwt";
const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";

/// Room for what an answer has beside token and scopes, so that it is written in one piece.
const FRAME_BYTES: usize = 256;

/// Where exchanges are asked for.
pub(super) const PATH: &str = "/token";

/// Whether this request asks for an exchange.
pub(super) fn is_exchange<B>(request: &Request<B>) -> bool {
    request.method() == Method::POST && request.uri().path() == PATH
}

/// Exchanges a service account token for an issued one.
pub(super) async fn token<B>(service: &Service, request: Request<B>) -> Response
where
    B: HttpBody<Data = Bytes, Error: Into<BoxError>>,
{
    let (Parts { headers, .. }, body) = request.into_parts();
    let request = read(&headers, body).await.and_then(|body| parse(&Form::read(&body)?));
    let answer = match request {
        Ok((request, issued_token_type)) => exchange(service, &request, issued_token_type).await,
        Err(error) => {
            let reason = Reason::Malformed;
            service.metrics.exchanged(reason);
            info!(outcome = reason.outcome(), reason = reason.name(), detail = %error, "exchange");
            Err(error)
        }
    };
    answer.unwrap_or_else(IntoResponse::into_response)
}

async fn exchange(
    service: &Service,
    request: &ExchangeRequest,
    issued_token_type: &'static str,
) -> Result<Response, OAuthError> {
    let mut stopwatch = service.metrics.stopwatch();
    let stages = |stage| stopwatch.ended(stage);
    let outcome = service.exchange.issue(request, clock::now(), Uuid::new_v4(), stages).await;
    let time = stopwatch.stop();
    match outcome {
        Ok(issued) => {
            service.metrics.exchanged(Reason::Issued);
            log(request, Some(&issued.subject), Reason::Issued, time, "");
            Ok(success(&issued, issued_token_type))
        }
        Err(error) => {
            let answer = OAuthError::from(&error);
            let reason = Reason::from(&error);
            service.metrics.exchanged(reason);
            log(request, subject_of(&error), reason, time, &format!("{:?}: {error}", answer.code()));
            Err(answer)
        }
    }
}

fn subject_of(error: &ExchangeError) -> Option<&Subject> {
    match error {
        ExchangeError::Refused { subject, .. } | ExchangeError::Limited { subject, .. } => Some(subject),
        ExchangeError::Rejected(_) | ExchangeError::Upstream(_) => None,
    }
}

/// One line for each exchange: who, for whom, with what outcome.
fn log(request: &ExchangeRequest, subject: Option<&Subject>, reason: Reason, time: Duration, detail: &str) {
    // The fields are made only when the line is written.
    info!(
        outcome = reason.outcome(),
        reason = reason.name(),
        duration_us = u64::try_from(time.as_micros()).unwrap_or(u64::MAX),
        client = subject.map_or("", |subject| subject.identity.as_str()),
        context = %fit(request.participant_context.as_str()),
        scopes = %fit(&words(&request.scopes)),
        detail = %fit(detail),
        "exchange"
    );
}

fn words(scopes: &[Scope]) -> String {
    scopes.iter().map(Scope::as_str).collect::<Vec<_>>().join(" ")
}

pub(super) async fn method_not_allowed() -> Response {
    let error = OAuthError::new(
        StatusCode::METHOD_NOT_ALLOWED,
        ErrorCode::InvalidRequest,
        "the token endpoint takes POST only",
    );
    let mut response = error.into_response();
    response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("POST"));
    response
}

async fn read<B>(headers: &HeaderMap, body: B) -> Result<Bytes, OAuthError>
where
    B: HttpBody<Data = Bytes, Error: Into<BoxError>>,
{
    let media_type =
        body::media_type(headers).map_err(|error| OAuthError::invalid_request(error.to_string()))?;
    if !media_type.is_some_and(|media_type| media_type.eq_ignore_ascii_case(FORM)) {
        let description = format!("the Content-Type must be {FORM}");
        return Err(OAuthError::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            ErrorCode::InvalidRequest,
            description,
        ));
    }
    body::read(body, MAX_BODY_BYTES).await.map_err(|error| match error {
        BodyError::TooLarge => {
            let description = format!("the body must be at most {MAX_BODY_BYTES} bytes");
            OAuthError::new(StatusCode::PAYLOAD_TOO_LARGE, ErrorCode::InvalidRequest, description)
        }
        BodyError::TooSlow => OAuthError::new(
            StatusCode::REQUEST_TIMEOUT,
            ErrorCode::InvalidRequest,
            "the body must arrive within 30 s",
        ),
        BodyError::Broken => OAuthError::invalid_request("the body ended too early"),
    })
}

/// The parameters of a request. It holds the subject token, hence no `Debug`.
pub(super) struct Form<'a>(Vec<form::Pair<'a>>);

impl<'a> Form<'a> {
    pub(super) fn read(body: &'a [u8]) -> Result<Self, OAuthError> {
        let text =
            std::str::from_utf8(body).map_err(|_| OAuthError::invalid_request("the body must be UTF-8"))?;
        form::parameters(text).map(Self).map_err(|error| {
            OAuthError::invalid_request(format!("the body is not correctly encoded: {error}"))
        })
    }

    fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.0.iter().filter(move |(given, _)| given == name).map(|(_, value)| value.as_ref())
    }

    fn optional(&self, name: &str) -> Result<Option<&str>, OAuthError> {
        let mut values = self.all(name);
        match (values.next(), values.next()) {
            (_, Some(_)) => Err(OAuthError::invalid_request(format!("{name} must be given once only"))),
            (value, None) => Ok(value),
        }
    }

    fn required(&self, name: &str) -> Result<&str, OAuthError> {
        self.optional(name)?.ok_or_else(|| OAuthError::invalid_request(format!("{name} is missing")))
    }
}

pub(super) fn parse(form: &Form<'_>) -> Result<(ExchangeRequest, &'static str), OAuthError> {
    if form.required("grant_type")? != GRANT_TYPE {
        let description = format!("grant_type must be {GRANT_TYPE}");
        return Err(OAuthError::new(StatusCode::BAD_REQUEST, ErrorCode::UnsupportedGrantType, description));
    }
    if form.all("actor_token").chain(form.all("actor_token_type")).next().is_some() {
        return Err(OAuthError::invalid_request("actor_token and actor_token_type are not supported"));
    }
    let subject_token = form.required("subject_token")?;
    if form.required("subject_token_type")? != JWT {
        return Err(OAuthError::invalid_request(format!("subject_token_type must be {JWT}")));
    }
    let issued_token_type = match form.optional("requested_token_type")? {
        None | Some(JWT) => JWT,
        Some(ACCESS_TOKEN) => ACCESS_TOKEN,
        Some(_) => {
            let description = format!("requested_token_type must be {JWT} or {ACCESS_TOKEN}");
            return Err(OAuthError::invalid_request(description));
        }
    };
    // Clients send files as they are, with the line's end.
    let subject_token = SubjectToken::parse(subject_token.trim())
        .map_err(|rejection| OAuthError::invalid_request(format!("subject_token {rejection}")))?;
    let request = ExchangeRequest {
        subject_token,
        participant_context: parse_resource(form)?,
        scopes: parse_scopes(form)?,
        audiences: parse_audiences(form)?,
    };
    Ok((request, issued_token_type))
}

fn parse_resource(form: &Form<'_>) -> Result<ParticipantContext, OAuthError> {
    let invalid =
        |description| OAuthError::new(StatusCode::BAD_REQUEST, ErrorCode::InvalidTarget, description);
    let mut resources = form.all("resource");
    let resource = resources.next().ok_or_else(|| {
        OAuthError::invalid_request("resource is missing; it names the participant context")
    })?;
    if resources.next().is_some() {
        return Err(invalid(
            "resource must be given once only: one token is for one participant context".to_owned(),
        ));
    }
    ParticipantContext::parse(resource).map_err(|rule| invalid(format!("resource {rule}")))
}

fn parse_scopes(form: &Form<'_>) -> Result<Vec<Scope>, OAuthError> {
    let invalid =
        |description| OAuthError::new(StatusCode::BAD_REQUEST, ErrorCode::InvalidScope, description);
    let Some(text) = form.optional("scope")? else {
        return Ok(Vec::new());
    };
    // Room for all of them at once, as far as so many are allowed.
    let words = (memchr_iter(b' ', text.as_bytes()).count() + 1).min(MAX_SCOPES);
    let mut scopes: Vec<Scope> = Vec::with_capacity(words);
    // Empty as long as the words are sorted, as most lists are that have many: then each differs from all before.
    let mut seen = HashSet::new();
    for word in text.split(' ') {
        if word.is_empty() {
            return Err(invalid("scope must be words with a single space between them".to_owned()));
        }
        let is_sorted = seen.is_empty() && scopes.last().is_none_or(|last| last.as_str() < word);
        if !is_sorted && seen.is_empty() {
            seen.extend(text.split(' ').take(scopes.len()));
        }
        if is_sorted || seen.insert(word) {
            scopes.push(Scope::parse(word).map_err(|rule| invalid(format!("each scope {rule}")))?);
        }
    }
    if scopes.len() > MAX_SCOPES {
        return Err(invalid(format!("at most {MAX_SCOPES} scopes can be requested")));
    }
    Ok(scopes)
}

fn parse_audiences(form: &Form<'_>) -> Result<Vec<Audience>, OAuthError> {
    let invalid =
        |description| OAuthError::new(StatusCode::BAD_REQUEST, ErrorCode::InvalidTarget, description);
    let mut seen = HashSet::new();
    let distinct = form.all("audience").filter(|audience| seen.insert(*audience));
    let audiences =
        distinct.map(|text| Audience::parse(text).map_err(|rule| invalid(format!("each audience {rule}"))));
    let audiences: Vec<Audience> = audiences.collect::<Result<_, _>>()?;
    if audiences.len() > MAX_AUDIENCES {
        return Err(invalid(format!("at most {MAX_AUDIENCES} audiences can be requested")));
    }
    Ok(audiences)
}

/// The answer of RFC 8693 §2.2.1. It is put together from its parts, because JSON has nothing to escape in any of them: a
/// compact JWS is base64url with dots, and a scope has neither quotes nor backslashes. A general writer would look at
/// each character of the token, which is nearly all of the answer.
fn success(issued: &Issued, issued_token_type: &'static str) -> Response {
    let token = issued.token.expose();
    let scope_bytes: usize = issued.scopes.iter().map(|scope| scope.as_str().len() + 1).sum();
    let mut body = String::with_capacity(token.len() + scope_bytes + FRAME_BYTES);
    body.extend([r#"{"access_token":""#, token, r#"","issued_token_type":""#, issued_token_type]);
    body.extend([r#"","token_type":"Bearer","expires_in":"#, &issued.expires_in.to_string()]);
    for (index, scope) in issued.scopes.iter().enumerate() {
        body.extend([if index == 0 { r#","scope":""# } else { " " }, scope.as_str()]);
    }
    body.push_str(if issued.scopes.is_empty() { "}" } else { r#""}"# });
    ([(header::CONTENT_TYPE, "application/json")], NO_STORE, body).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_scope_counts_once_in_the_order_of_the_request() {
        for (scope, expected) in [
            ("a", "a"),
            ("a b c", "a b c"),
            ("a c b c b a d", "a c b d"),
            ("b a a b", "b a"),
            ("a a b", "a b"),
        ] {
            let body = format!("scope={}", scope.replace(' ', "+"));
            let scopes = parse_scopes(&Form::read(body.as_bytes()).unwrap()).unwrap();
            assert_eq!(words(&scopes), expected);
        }
    }
}
