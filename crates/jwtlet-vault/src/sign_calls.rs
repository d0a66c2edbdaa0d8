//! One call for signatures: sent, checked, verified.

use std::sync::atomic::{AtomicU64, Ordering};

use aws_lc_rs::rand;
use bytes::Bytes;
use jwtlet_core::jws::SigningInput;
use tokio::task::yield_now;

use crate::{
    VaultSettings,
    choices::VerifySignatures,
    client::Call,
    error::VaultError,
    key_version::KeyVersion,
    session::Session,
    sign_answer::{self, ItemFault, Results},
    sign_wire::{self, SignData},
    signature::SignatureFault,
};

/// How many signatures are verified in a row before other tasks get their turn.
const VERIFIED_IN_A_ROW: usize = 8;

/// A signature, or why there is none, for each of the messages of a call.
pub(crate) type Signatures = Vec<Result<Vec<u8>, ItemFault>>;

/// Where signatures are asked for, and how they are checked.
#[derive(Debug)]
pub(crate) struct SignCalls {
    path: String,
    verify: VerifySignatures,
    /// Numbers the batches, so that the answer to one cannot pass for the answer to another.
    batches: AtomicU64,
}

impl SignCalls {
    pub(crate) fn new(settings: &VaultSettings) -> Self {
        Self {
            path: format!("{}/sign/{}", settings.transit_mount, settings.key_name),
            verify: settings.verify_signatures,
            batches: AtomicU64::new(0),
        }
    }

    /// Asks for signatures of one version for these messages. None of them is verified.
    pub(crate) async fn ask(
        &self,
        session: &Session,
        version: &KeyVersion,
        inputs: &[SigningInput],
    ) -> Result<Results, VaultError> {
        match inputs {
            [input] => self.sign_one(session, version, input.as_bytes()).await,
            _ => self.sign_batch(session, version, inputs).await,
        }
    }

    /// The signatures that may be handed out, of an answer for these messages.
    pub(crate) async fn verified(
        &self,
        version: &KeyVersion,
        inputs: &[SigningInput],
        results: Results,
    ) -> Signatures {
        let messages: Vec<_> = inputs.iter().map(SigningInput::as_bytes).collect();
        self.checked(version, &messages, results).await
    }

    /// Has one version sign bytes that are no JWS, to see whether it does.
    pub(crate) async fn try_out(
        &self,
        session: &Session,
        version: &KeyVersion,
        bytes: &[u8],
    ) -> Result<(), VaultError> {
        let results = self.sign_one(session, version, bytes).await?;
        let verified = self.checked(version, &[bytes], results).await;
        verified.into_iter().try_for_each(|result| result.map(drop)).map_err(VaultError::from)
    }

    async fn sign_one(
        &self,
        session: &Session,
        version: &KeyVersion,
        bytes: &[u8],
    ) -> Result<Results, VaultError> {
        let body = sign_wire::single(version.algorithm, version.number, bytes);
        let data = self.call(session, body).await?;
        Ok(sign_answer::single(data, version)?)
    }

    async fn sign_batch(
        &self,
        session: &Session,
        version: &KeyVersion,
        inputs: &[SigningInput],
    ) -> Result<Results, VaultError> {
        let number = self.batches.fetch_add(1, Ordering::Relaxed);
        let references: Vec<_> = (0..inputs.len()).map(|index| format!("{number:x}.{index}")).collect();
        let messages = inputs.iter().map(SigningInput::as_bytes).zip(references.iter().map(String::as_str));
        let data = self.call(session, sign_wire::batch(version.algorithm, version.number, messages)).await?;
        match (data.batch_results, data.signature) {
            (Some(results), _) => Ok(sign_answer::batch(results, &references, version)?),
            // A server that does not know batches signs the input that is not there: the empty one.
            (None, Some(_)) => Err(VaultError::NoBatches),
            (None, None) => Err(VaultError::NoData(self.path.clone())),
        }
    }

    async fn call(&self, session: &Session, body: Bytes) -> Result<SignData, VaultError> {
        session.data(&Call::write_json(&self.path, body)).await
    }

    /// Replaces what does not verify: one chosen at random is tried, and all when that one fails, when the answer gives
    /// reason to doubt it, or when the operator wants it so.
    async fn checked(&self, version: &KeyVersion, messages: &[&[u8]], results: Results) -> Signatures {
        let Results { mut items, is_plausible } = results;
        if is_plausible && self.verify == VerifySignatures::Sampled {
            let good = items.iter().filter(|item| item.is_ok()).count();
            let mut sample =
                items.iter().zip(messages).filter_map(|(item, message)| Some((item.as_ref().ok()?, message)));
            match sample.nth(random_below(good)) {
                Some((signature, message)) if version.key.verify(message, signature).is_err() => {}
                _ => return items,
            }
        }
        for (index, (item, message)) in items.iter_mut().zip(messages).enumerate() {
            if index % VERIFIED_IN_A_ROW == VERIFIED_IN_A_ROW - 1 {
                yield_now().await;
            }
            if item.as_ref().is_ok_and(|signature| version.key.verify(message, signature).is_err()) {
                *item = Err(ItemFault::Signature(SignatureFault::Invalid));
            }
        }
        items
    }
}

/// A number below the limit; 0 when the limit is 0.
fn random_below(limit: usize) -> usize {
    let mut random = [0; 4];
    // Without randomness the first one is tried.
    let _ = rand::fill(&mut random);
    usize::try_from(u32::from_le_bytes(random)).unwrap_or_default().checked_rem(limit).unwrap_or_default()
}
