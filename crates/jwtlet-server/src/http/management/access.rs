//! Who may call the management API.

use std::sync::Arc;

use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, StatusCode, Uri, header, request::Parts},
};
use jwtlet_core::{
    Subject, SubjectToken, SubjectVerifier,
    change::Author,
    mapping::ClaimRules,
    role::Role,
    subject::{Rejection, VerifyError},
};
use jwtlet_store::Store;
use tracing::warn;

use crate::{
    clock,
    http::{
        Service,
        error::{CLIENT_LIMIT, Problem},
        request_id::RequestId,
    },
};

/// A call by a verified caller.
pub(super) struct Call {
    pub(super) service: Arc<Service>,
    pub(super) author: Author,
    pub(super) headers: HeaderMap,
    /// Below `/api/v1`.
    pub(super) uri: Uri,
}

impl Call {
    /// Verifies the bearer token like a subject token: 401 without a good one, 503 when it cannot be checked.
    pub(super) async fn authenticate(service: &Arc<Service>, parts: &mut Parts) -> Result<Self, Problem> {
        let now = clock::now();
        let subject = verify(service, &parts.headers, now).await?;
        let request_id = parts.extensions.get::<RequestId>().map_or("", RequestId::as_str).to_owned();
        Ok(Self {
            service: Arc::clone(service),
            author: Author { subject, request_id, apply_id: None, at: now },
            headers: std::mem::take(&mut parts.headers),
            uri: parts.uri.clone(),
        })
    }

    /// Looks the identity's roles up: 403 without the one that is needed.
    pub(super) fn permit(&self, wanted: Role) -> Result<(), Problem> {
        let identity = &self.author.subject.identity;
        let roles = self.service.roles.get(identity).map_or(&[][..], Vec::as_slice);
        if roles.iter().any(|role| role.includes(wanted)) {
            return Ok(());
        }
        let detail = format!("{identity} needs the role {} in [service_accounts]", wanted.name());
        Err(Problem::new(StatusCode::FORBIDDEN, detail))
    }

    pub(super) fn store(&self) -> &Store {
        self.service.exchange.store()
    }

    pub(super) fn claim_rules(&self) -> &ClaimRules {
        &self.service.exchange.profile().claim_rules
    }
}

/// A call by somebody who may read. A handler that takes one cannot run for anybody else.
pub(super) struct Reader(pub(super) Call);

impl FromRequestParts<Arc<Service>> for Reader {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, service: &Arc<Service>) -> Result<Self, Problem> {
        let call = Call::authenticate(service, parts).await?;
        // Refused writes are logged with their record.
        let identity = call.author.subject.identity.as_str();
        call.permit(Role::Read).inspect_err(|_| warn!(actor = identity, "a read without the role"))?;
        Ok(Self(call))
    }
}

async fn verify(service: &Service, headers: &HeaderMap, now: jiff::Timestamp) -> Result<Subject, Problem> {
    let token = bearer_token(headers)?;
    let verifier = service.exchange.verifier();
    verifier.verify(&token, &service.management_audience, now).await.map_err(|error| match error {
        VerifyError::Rejected(rejection) => refused(&rejection),
        VerifyError::Limited { retry_after, .. } => Problem::too_many(CLIENT_LIMIT, retry_after),
        VerifyError::Upstream(error) => error.into(),
    })
}

fn refused(rejection: &Rejection) -> Problem {
    Problem::unauthorized(format!("the bearer token {rejection}"), Some("invalid_token"))
}

fn bearer_token(headers: &HeaderMap) -> Result<SubjectToken, Problem> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let (Some(value), None) = (values.next(), values.next()) else {
        return Err(Problem::unauthorized("one Authorization header with a bearer token is needed", None));
    };
    let token = value.to_str().ok().and_then(|value| value.split_once(' '));
    match token {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("Bearer") => {
            SubjectToken::parse(token).map_err(|rejection| refused(&rejection))
        }
        _ => Err(Problem::unauthorized("the Authorization header must be: Bearer, a space, the token", None)),
    }
}
