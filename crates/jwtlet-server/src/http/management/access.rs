//! Who may call the management API.

use std::{marker::PhantomData, sync::Arc};

use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, StatusCode, Uri, header, request::Parts},
};
use jwtlet_core::{
    Subject, SubjectToken, SubjectVerifier,
    role::Role,
    subject::{Rejection, VerifyError},
};
use jwtlet_store::MemoryStore;
use tracing::warn;

use crate::{
    clock,
    http::{Service, error::Problem},
};

/// What a handler needs a role for.
pub(super) trait Permission: Send + Sync + 'static {
    const ROLE: Role;
}

macro_rules! permission {
    ($name:ident) => {
        pub(super) struct $name;

        impl Permission for $name {
            const ROLE: Role = Role::$name;
        }
    };
}

permission!(Read);
permission!(WriteMappings);
permission!(WriteScopes);

/// A call by somebody who may make it. A handler that takes one cannot run for anybody else.
pub(super) struct Authorized<P> {
    pub(super) service: Arc<Service>,
    pub(super) actor: Subject,
    pub(super) headers: HeaderMap,
    pub(super) uri: Uri,
    permission: PhantomData<P>,
}

impl<P> Authorized<P> {
    pub(super) fn store(&self) -> &MemoryStore {
        self.service.exchange.store()
    }
}

impl<P: Permission> FromRequestParts<Arc<Service>> for Authorized<P> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, service: &Arc<Service>) -> Result<Self, Problem> {
        let actor = authorize(service, &parts.headers, P::ROLE).await?;
        Ok(Self {
            service: Arc::clone(service),
            actor,
            headers: std::mem::take(&mut parts.headers),
            uri: parts.uri.clone(),
            permission: PhantomData,
        })
    }
}

/// Verifies the bearer token as a subject token and looks the identity's roles up: 401 without a good token, 403
/// without the role, 503 when the token cannot be checked.
async fn authorize(service: &Service, headers: &HeaderMap, wanted: Role) -> Result<Subject, Problem> {
    let token = bearer_token(headers)?;
    let verifier = service.exchange.verifier();
    let subject = match verifier.verify(&token, &service.management_audience, clock::now()).await {
        Ok(subject) => subject,
        Err(VerifyError::Rejected(rejection)) => return Err(refused(&rejection)),
        Err(VerifyError::Upstream(error)) => return Err(error.into()),
    };
    let roles = service.roles.get(&subject.identity).map_or(&[][..], Vec::as_slice);
    if roles.iter().any(|role| role.includes(wanted)) {
        Ok(subject)
    } else {
        warn!(
            actor = subject.identity.as_str(),
            wanted = wanted.name(),
            "a management call without the role"
        );
        let detail = format!("{} needs the role {} in [service_accounts]", subject.identity, wanted.name());
        Err(Problem::new(StatusCode::FORBIDDEN, detail))
    }
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
