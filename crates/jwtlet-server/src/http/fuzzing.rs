//! What the fuzz targets call: the readers of requests, from bytes to checked values, without a server.

use jwtlet_core::ExchangeRequest;

pub use super::management::fuzzing::{Apply, documents, mapping, scope_mapping};
use super::{
    form,
    oauth::{self, Form},
};

/// The parameters of a request to the token endpoint; `None` where it is not correctly encoded.
#[must_use]
pub fn parameters(text: &str) -> Option<Vec<(String, String)>> {
    let pairs = form::parameters(text).ok()?;
    Some(pairs.into_iter().map(|(name, value)| (name.into_owned(), value.into_owned())).collect())
}

/// The exchange that a body asks for.
///
/// # Errors
/// The description that is sent.
pub fn exchange_request(body: &[u8]) -> Result<ExchangeRequest, String> {
    let parsed = Form::read(body).and_then(|form| oauth::parse(&form));
    parsed.map(|(request, _)| request).map_err(|error| error.description())
}
