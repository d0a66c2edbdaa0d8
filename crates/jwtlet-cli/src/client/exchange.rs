//! The calls of the exchange API.

use form_urlencoded::Serializer;
use http::Method;
use jwtlet_core::{Audience, ParticipantContext, Scope};
use serde_json::Value;

use super::{
    Call,
    endpoint::{Endpoint, Reply},
    failure,
};
use crate::{credentials::Token, error::Error, jwks::KeySet, text::printable};

const TOKEN_TYPE: &str = "urn:ietf:params:oauth:token-type:";

/// An exchange (RFC 8693 §2.1).
#[derive(Debug)]
pub(crate) struct ExchangeRequest<'a> {
    pub(crate) resource: &'a ParticipantContext,
    pub(crate) scopes: &'a [Scope],
    pub(crate) audiences: &'a [Audience],
    /// The last word of the URN, such as `access_token`.
    pub(crate) requested_token_type: Option<&'a str>,
}

impl ExchangeRequest<'_> {
    fn form(&self, token: &Token) -> String {
        let mut form = Serializer::new(String::new());
        form.append_pair("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange")
            .append_pair("subject_token_type", &format!("{TOKEN_TYPE}jwt"))
            .append_pair("subject_token", token.expose())
            .append_pair("resource", self.resource.as_str());
        if !self.scopes.is_empty() {
            let scopes: Vec<&str> = self.scopes.iter().map(Scope::as_str).collect();
            form.append_pair("scope", &scopes.join(" "));
        }
        for audience in self.audiences {
            form.append_pair("audience", audience.as_str());
        }
        if let Some(name) = self.requested_token_type {
            form.append_pair("requested_token_type", &format!("{TOKEN_TYPE}{name}"));
        }
        form.finish()
    }

    /// The command that explains what comes of it.
    pub(super) fn explain(&self, token: &Token) -> String {
        let claims = token.claims();
        let client = claims.as_ref().and_then(|claims| claims.subject.as_deref()).unwrap_or("CLIENT");
        let mut command = format!("jwtlet explain {} {}", word(client), word(self.resource.as_str()));
        for scope in self.scopes {
            command.extend([" --scope ", &word(scope.as_str())]);
        }
        for audience in self.audiences {
            command.extend([" --audience ", &word(audience.as_str())]);
        }
        command
    }
}

/// A name as a word of a shell.
fn word(name: &str) -> String {
    let name = printable(name);
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, ':' | '.' | '_' | '-' | '/');
    if name.chars().all(is_plain) { name } else { format!("'{}'", name.replace('\'', "'\\''")) }
}

/// The exchange API of a server.
#[derive(Debug)]
pub(crate) struct ExchangeClient {
    endpoint: Endpoint,
}

impl ExchangeClient {
    pub(crate) fn new(endpoint: Endpoint) -> Self {
        Self { endpoint }
    }

    pub(crate) fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Exchanges a token. Gives the answer of RFC 8693 §2.2.1, with a text in `access_token`.
    pub(crate) async fn exchange(
        &self,
        request: &ExchangeRequest<'_>,
        token: &Token,
    ) -> Result<Value, Error> {
        let call = Call::new(Method::POST, "/token").form(request.form(token));
        let reply = self.endpoint.send(call).await?;
        if reply.status != 200 {
            return Err(failure::of_exchange(&self.endpoint, &reply, request, token).await);
        }
        let answer: Value = reply.json()?;
        if answer["access_token"].is_string() {
            Ok(answer)
        } else {
            Err(Error::Incomplete { url: reply.url, missing: "access_token" })
        }
    }

    /// The published keys.
    pub(crate) async fn keys(&self) -> Result<KeySet, Error> {
        self.public("/.well-known/jwks.json").await?.json()
    }

    /// The metadata of RFC 8414.
    pub(crate) async fn metadata(&self) -> Result<Value, Error> {
        self.public("/.well-known/oauth-authorization-server").await?.json()
    }

    async fn public(&self, path: &str) -> Result<Reply, Error> {
        let reply = self.endpoint.send(Call::get(path)).await?;
        if reply.status == 200 {
            Ok(reply)
        } else {
            Err(failure::of_public(&self.endpoint, &reply, path).await)
        }
    }
}
