//! What an answer to a batch says about each of its messages, before any signature is verified.
//!
//! A message and its signature are matched by position, and the reference that comes back has to be the one that was
//! sent at that position. An answer that is too short, too long or out of order is not sorted out: whoever sent it did
//! not do what was asked, so nothing of it is used.

use crate::{
    key_version::KeyVersion,
    sign_wire::{BatchResult, SignData},
    signature::{self, SignatureFault},
};

/// Why an answer as a whole is not used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum AnswerFault {
    #[error("it has no signature")]
    NoSignature,
    #[error("it has {actual} results for {expected} messages")]
    Length { expected: usize, actual: usize },
    #[error("the result at position {0} is of another message")]
    Reference(usize),
}

/// Why there is no signature for one message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ItemFault {
    /// Vault does not sign it, and this is its text.
    Refused(String),
    /// What came is not usable.
    Signature(SignatureFault),
}

/// The decoded results of a batch, in the order of its messages.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Results {
    pub(crate) items: Vec<Result<Vec<u8>, ItemFault>>,
    /// Whether the answer itself gives no reason to doubt any signature in it.
    pub(crate) is_plausible: bool,
}

/// The only signature of an answer.
pub(crate) fn single(data: SignData, version: &KeyVersion) -> Result<Results, AnswerFault> {
    let text = data.signature.ok_or(AnswerFault::NoSignature)?;
    Ok(Results { items: vec![usable(&text, version).map_err(ItemFault::Signature)], is_plausible: true })
}

/// The signatures of a batch whose messages had these references.
pub(crate) fn batch(
    results: Vec<BatchResult>,
    references: &[String],
    version: &KeyVersion,
) -> Result<Results, AnswerFault> {
    if results.len() != references.len() {
        return Err(AnswerFault::Length { expected: references.len(), actual: results.len() });
    }
    let mut is_plausible = true;
    for (position, (result, sent)) in results.iter().zip(references).enumerate() {
        match &result.reference {
            Some(reference) if reference == sent => {}
            Some(_) => return Err(AnswerFault::Reference(position)),
            // An old server, or one whose order nothing vouches for.
            None => is_plausible = false,
        }
    }
    let items: Vec<_> = results.into_iter().map(|result| item(result, version)).collect();
    is_plausible &= !items.iter().any(|item| matches!(item, Err(ItemFault::Signature(_))));
    Ok(Results { items, is_plausible })
}

fn item(result: BatchResult, version: &KeyVersion) -> Result<Vec<u8>, ItemFault> {
    match (result.error.filter(|error| !error.is_empty()), result.signature) {
        (Some(error), _) => Err(ItemFault::Refused(error)),
        (None, Some(text)) => usable(&text, version).map_err(ItemFault::Signature),
        (None, None) => Err(ItemFault::Signature(SignatureFault::Form)),
    }
}

fn usable(text: &str, version: &KeyVersion) -> Result<Vec<u8>, SignatureFault> {
    let signature = signature::decode(text, version.number)?;
    version.key.check_length(&signature)?;
    Ok(signature)
}
