//! The transit engine: keys and signatures.

mod algorithms;
mod key;
mod key_routes;
mod keys;
mod material;
mod sign;
mod sign_options;

use std::sync::Arc;

use super::answer::{Answer, Refusal};
use super::params::Params;
use super::policy::Operation;
use super::state::State;

pub use key::{KeyType, UnknownKeyType};
pub(super) use keys::Keys;

/// Routes a path below the mount.
pub(super) async fn route(
    state: &Arc<State>,
    operation: Operation,
    path: &str,
    params: Params,
) -> Result<Answer, Refusal> {
    let segments: Vec<_> = path.split('/').collect();
    let name = segments.get(1).copied().unwrap_or_default();
    if segments.len() > 1 && !is_name(name) {
        return Err(Refusal::unsupported_path());
    }
    match (segments.as_slice(), operation) {
        (["keys"], Operation::List) => key_routes::list(state),
        (["keys", name], Operation::Read) => key_routes::read(state, name, &params),
        (["keys", name], Operation::Update) => key_routes::create(state, name, params).await,
        (["keys", name], Operation::Delete) => key_routes::delete(state, name),
        (["keys", name, "rotate"], Operation::Update) => key_routes::rotate(state, name).await,
        (["keys", name, "config"], Operation::Update) => key_routes::configure(state, name, &params),
        (["keys", name, "trim"], Operation::Update) => key_routes::trim(state, name, &params),
        (["keys", name, "soft-delete"], Operation::Delete) => key_routes::soft_delete(state, name, true),
        (["keys", name, "soft-delete-restore"], Operation::Update) => {
            key_routes::soft_delete(state, name, false)
        }
        (["sign", name], Operation::Update) => sign::sign(state, name, None, params).await,
        (["sign", name, hash], Operation::Update) => sign::sign(state, name, Some(hash), params).await,
        (
            ["keys"]
            | ["keys" | "sign", _]
            | ["keys", _, "rotate" | "config" | "trim" | "soft-delete" | "soft-delete-restore"]
            | ["sign", _, _],
            _,
        ) => Err(Refusal::unsupported_operation()),
        _ => Err(Refusal::unsupported_path()),
    }
}

/// Letters, digits, `_`, `-` and `.`, with a letter, digit or `_` at both ends.
fn is_name(name: &str) -> bool {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    name.starts_with(is_word)
        && name.ends_with(is_word)
        && name.chars().all(|c| is_word(c) || "-.".contains(c))
}
