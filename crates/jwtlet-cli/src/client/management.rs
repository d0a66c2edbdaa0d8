//! The calls of the management API.

use form_urlencoded::Serializer;
use http::{Method, header};
use jwtlet_upstream::HttpError;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{
    Call,
    endpoint::{Endpoint, Reply},
    failure,
};
use crate::{credentials::Token, error::Error, output::Progress};

/// What stands for itself in a path (RFC 3986 §2.3), and the colon, which is in every client identifier.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b':');

/// How many records a page of a whole list has.
const PAGE: u16 = 500;

/// An apply may send 32 MiB; its plan has the states before and after.
const MAX_POLICY_BYTES: usize = 128 * 1024 * 1024;

/// What came of an apply.
#[derive(Debug)]
pub(crate) enum Applied {
    /// What was done, or would be.
    Plan(Value),
    /// Nothing: the documents break rules.
    Refused {
        errors: Vec<Value>,
        /// Whether the server may be older than this command.
        may_be_older: bool,
    },
    /// Nothing: records belong to others than the documents say.
    NotOwned(Vec<Value>),
}

/// Some records of a list.
#[derive(Debug)]
pub(crate) struct Listed<T> {
    pub(crate) items: Vec<T>,
    /// Where the list goes on.
    pub(crate) next: Option<String>,
}

/// The path of a record or a collection below `/api/v1`.
pub(crate) fn path(segments: &[&str]) -> String {
    let mut path = String::from("/api/v1");
    for segment in segments {
        path.push('/');
        path.extend(utf8_percent_encode(segment, SEGMENT));
    }
    path
}

/// The management API of a server, called with one token.
#[derive(Debug)]
pub(crate) struct ManagementClient {
    endpoint: Endpoint,
    token: Token,
}

impl ManagementClient {
    pub(crate) fn new(endpoint: Endpoint, token: Token) -> Self {
        Self { endpoint, token }
    }

    /// Sends a call with the token; any answer but a success is a failure.
    pub(crate) async fn send(&self, call: Call<'_>, path: &str) -> Result<Reply, Error> {
        let reply = self.endpoint.send(call.token(&self.token)).await?;
        if (200..300).contains(&reply.status) {
            Ok(reply)
        } else {
            Err(failure::of_management(&self.endpoint, &reply, &self.token, path).await)
        }
    }

    /// Reads one thing.
    pub(crate) async fn get(&self, path: &str) -> Result<Reply, Error> {
        self.send(Call::get(path), path).await
    }

    /// Creates records, or asks a question.
    pub(crate) async fn post(&self, path: &str, body: &Value) -> Result<Reply, Error> {
        self.send(Call::new(Method::POST, path).json(body), path).await
    }

    /// Replaces a record, in the state that the tag names.
    pub(crate) async fn put(&self, path: &str, body: &Value, if_match: &str) -> Result<Reply, Error> {
        self.send(Call::new(Method::PUT, path).json(body).if_match(Some(if_match)), path).await
    }

    /// Deletes records, in the state that the tag names if there is one.
    pub(crate) async fn delete(&self, path: &str, if_match: Option<&str>) -> Result<Reply, Error> {
        self.send(Call::new(Method::DELETE, path).if_match(if_match), path).await
    }

    /// Plans or applies documents, in one call.
    pub(crate) async fn apply(&self, body: &Value, progress: &Progress) -> Result<Applied, Error> {
        let path = path(&["policy", "apply"]);
        let call = Call::new(Method::POST, &path).json(body).progress(progress);
        let call = call.max_answer_bytes(MAX_POLICY_BYTES).token(&self.token);
        let reply = self.endpoint.send(call).await?;
        if reply.status == 200 {
            return Ok(Applied::Plan(reply.json()?));
        }
        let problem = reply.json::<Value>().unwrap_or_default();
        let errors = problem["errors"].as_array().filter(|errors| !errors.is_empty());
        match (reply.status, errors) {
            (400, Some(errors)) => {
                Ok(Applied::Refused { errors: errors.clone(), may_be_older: reply.may_be_older() })
            }
            (409, Some(errors)) => Ok(Applied::NotOwned(errors.clone())),
            (status, _) => {
                Err(match failure::of_management(&self.endpoint, &reply, &self.token, &path).await {
                    Error::Exists { detail } => Error::Refused { status, detail, may_be_older: false },
                    Error::Changed { detail } => Error::PlanDiffers { detail },
                    other => other,
                })
            }
        }
    }

    /// The policy as documents.
    pub(crate) async fn export(&self, filters: &[(&str, &str)]) -> Result<Reply, Error> {
        let query = Serializer::new(String::new()).extend_pairs(filters).finish();
        let separator = if query.is_empty() { "" } else { "?" };
        let path = format!("{}{separator}{query}", path(&["policy", "export"]));
        self.send(Call::get(&path).max_answer_bytes(MAX_POLICY_BYTES), &path).await
    }

    /// A page of a list.
    pub(crate) async fn page<T: DeserializeOwned>(
        &self,
        path: &str,
        filters: &[(&str, &str)],
        limit: u16,
        cursor: Option<&str>,
    ) -> Result<Listed<T>, Error> {
        let mut query = Serializer::new(String::new());
        query.extend_pairs(filters).append_pair("limit", &limit.to_string());
        if let Some(cursor) = cursor {
            query.append_pair("cursor", cursor);
        }
        let reply = self.get(&format!("{path}?{}", query.finish())).await?;
        Ok(Listed { items: reply.json()?, next: next_cursor(&reply) })
    }

    /// A page of at most so many records, or of fewer where so many are more than an answer may have.
    pub(crate) async fn fitting_page<T: DeserializeOwned>(
        &self,
        path: &str,
        filters: &[(&str, &str)],
        limit: u16,
        cursor: Option<&str>,
    ) -> Result<Listed<T>, Error> {
        let mut limit = limit;
        loop {
            match self.page(path, filters, limit, cursor).await {
                Err(Error::Nonsense { source: HttpError::TooLong, .. }) if limit > 1 => limit /= 2,
                outcome => return outcome,
            }
        }
    }

    /// Everything from the cursor on, page by page.
    pub(crate) async fn all(
        &self,
        path: &str,
        filters: &[(&str, &str)],
        cursor: Option<String>,
    ) -> Result<Listed<Value>, Error> {
        let mut page = self.fitting_page(path, filters, PAGE, cursor.as_deref()).await?;
        let mut items = Vec::new();
        loop {
            items.append(&mut page.items);
            let Some(cursor) = page.next else { return Ok(Listed { items, next: None }) };
            page = self.fitting_page(path, filters, PAGE, Some(&cursor)).await?;
        }
    }
}

/// The cursor in the link to the next page. The rest of the link is what was asked for anyway.
fn next_cursor(reply: &Reply) -> Option<String> {
    let link = reply.header(header::LINK)?;
    let (target, parameters) = link.strip_prefix('<')?.split_once('>')?;
    let (_, query) = target.split_once('?')?;
    let mut pairs = form_urlencoded::parse(query.as_bytes());
    let cursor = pairs.find(|(name, _)| name == "cursor").map(|(_, value)| value.into_owned());
    cursor.filter(|_| parameters.contains("rel=\"next\""))
}
