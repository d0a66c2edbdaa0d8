//! `transit/sign`: one signature, or a batch of them.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use serde_json::{Map, Value, json};

use super::super::answer::{Answer, Refusal};
use super::super::params::Params;
use super::super::state::State;
use super::key::{TransitKey, Version};
use super::material::Material;
use super::sign_options::{Marshaling, Salt, SignOptions};
use crate::encoding::{base64, base64url, from_base64};

const PARAMETERS: [&str; 12] = [
    "name",
    "urlalgorithm",
    "input",
    "hash_algorithm",
    "algorithm",
    "signature_algorithm",
    "marshaling_algorithm",
    "salt_length",
    "prehashed",
    "key_version",
    "context",
    "batch_input",
];

/// From this many signatures on, the work leaves the threads that serve connections.
const MANY: usize = 32;

/// One message of a request.
struct Item {
    input: Option<String>,
    context: Option<String>,
    reference: String,
}

struct Signed {
    signature: String,
    version: u64,
    public_key: Option<String>,
}

/// Why a message is not signed: the status matters only outside of a batch.
enum Unsigned {
    BadRequest(String),
    Internal(String),
}

impl Unsigned {
    fn text(self) -> String {
        match self {
            Self::BadRequest(text) | Self::Internal(text) => text,
        }
    }
}

pub(super) async fn sign(
    state: &Arc<State>,
    name: &str,
    hash: Option<&str>,
    params: Params,
) -> Result<Answer, Refusal> {
    let mut options = SignOptions::parse(&params, hash)?;
    if state.no_salt_lengths {
        options.salt = Salt::Auto;
    }
    let key = state.keys.get(name).ok_or_else(|| Refusal::bad_request("signing key not found"))?;
    if !key.key_type.signs() {
        return Err(Refusal::bad_request(format!("key type {} does not support signing", key.key_type)));
    }
    let is_unknown = |name: &str| match name {
        "batch_input" => state.no_batches,
        "salt_length" => state.no_salt_lengths,
        _ => false,
    };
    let known: Vec<_> = PARAMETERS.into_iter().filter(|name| !is_unknown(name)).collect();
    let warnings = params.warnings(&known);
    let Some(batch) = params.raw("batch_input").filter(|_| !state.no_batches) else {
        let item = Item {
            input: Some(params.text("input")?.unwrap_or_default()),
            context: params.text("context")?,
            reference: String::new(),
        };
        let signed = run(key, options, vec![item]).await?.into_iter().next();
        let signed = signed.unwrap_or_else(|| Err(Unsigned::Internal("nothing was signed".to_owned())));
        let signed = signed.map_err(|unsigned| match unsigned {
            Unsigned::BadRequest(text) => Refusal::bad_request(text),
            Unsigned::Internal(text) => Refusal::internal(text),
        })?;
        state.signatures.fetch_add(1, Ordering::Relaxed);
        let mut data = json!({ "signature": signed.signature, "key_version": signed.version });
        if let Some(public_key) = signed.public_key {
            data["public_key"] = public_key.into();
        }
        return Ok(Answer::data(data, warnings));
    };

    let items = items(batch)?;
    if items.is_empty() {
        return Err(Refusal::bad_request("missing batch input to process"));
    }
    let references: Vec<_> = items.iter().map(|item| item.reference.clone()).collect();
    let results = run(key, options, items).await?;
    let made = results.iter().filter(|result| result.is_ok()).count();
    state.signatures.fetch_add(made as u64, Ordering::Relaxed);
    let results: Vec<_> = results
        .into_iter()
        .zip(references)
        .map(|(result, reference)| batch_result(result, &reference))
        .collect();
    Ok(Answer::data(json!({ "batch_results": results }), warnings))
}

/// Signs all items, off the serving threads if that takes long.
async fn run(
    key: Arc<TransitKey>,
    options: SignOptions,
    items: Vec<Item>,
) -> Result<Vec<Result<Signed, Unsigned>>, Refusal> {
    let slow = key.key_type.is_rsa() || items.len() >= MANY;
    let work = move || items.iter().map(|item| sign_item(&key, &options, item)).collect();
    if !slow {
        return Ok(work());
    }
    tokio::task::spawn_blocking(work).await.map_err(|_| Refusal::internal("signing failed"))
}

fn sign_item(key: &TransitKey, options: &SignOptions, item: &Item) -> Result<Signed, Unsigned> {
    let bad = |what: &str, error| Unsigned::BadRequest(format!("unable to decode {what} as base64: {error}"));
    let input = item.input.as_ref().ok_or_else(|| Unsigned::BadRequest("missing input".to_owned()))?;
    let input = from_base64(input).map_err(|error| bad("input", error))?;
    let context = match item.context.as_deref() {
        None | Some("") => None,
        Some(context) => Some(from_base64(context).map_err(|error| bad("context", error))?),
    };
    let (number, version) =
        chosen(key, options.key_version).map_err(|text| Unsigned::Internal(text.to_owned()))?;
    let context = context.as_deref();
    let signature = version.material.sign(&input, options, context).map_err(Unsigned::Internal)?;
    let signature = match options.marshaling {
        Marshaling::Asn1 => base64(signature),
        Marshaling::Jws => base64url(signature),
    };
    let public_key = match &*version.material {
        material @ Material::Derived(_) => material.public_key(context),
        _ => None,
    };
    Ok(Signed { signature: format!("vault:v{number}:{signature}"), version: number, public_key })
}

/// The version that signs; 0 means the newest.
fn chosen(key: &TransitKey, asked: i64) -> Result<(u64, &Version), &'static str> {
    if key.soft_deleted {
        return Err("refusing to use soft-deleted key");
    }
    let number = match u64::try_from(asked) {
        Err(_) => return Err("requested version for signing is negative"),
        Ok(0) => key.latest(),
        Ok(number) => number,
    };
    if number > key.latest() {
        return Err("requested version for signing is higher than the latest key version");
    }
    if number < key.min_encryption {
        return Err("requested version for signing is less than the minimum encryption key version");
    }
    let version = if number < key.min_decryption { None } else { key.versions.get(&number) };
    version.map(|version| (number, version)).ok_or("no such key version")
}

/// Reads a batch. Values that are not text or numbers make the whole request fail.
fn items(batch: &Value) -> Result<Vec<Item>, Refusal> {
    let unreadable = || Refusal::internal("failed to parse batch input");
    let batch = batch.as_array().ok_or_else(unreadable)?;
    let text = |item: &Map<String, Value>, name: &str| match item.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(Value::Number(number)) => Ok(Some(number.to_string())),
        Some(_) => Err(unreadable()),
    };
    batch
        .iter()
        .map(|item| {
            let item = item.as_object().ok_or_else(unreadable)?;
            for name in item.keys() {
                text(item, name)?;
            }
            Ok(Item {
                input: text(item, "input")?,
                context: text(item, "context")?,
                reference: text(item, "reference")?.unwrap_or_default(),
            })
        })
        .collect()
}

fn batch_result(result: Result<Signed, Unsigned>, reference: &str) -> Value {
    match result {
        Ok(signed) => {
            let mut result = json!({
                "signature": signed.signature,
                "key_version": signed.version,
                "reference": reference,
            });
            if let Some(public_key) = signed.public_key {
                result["publickey"] = public_key.into();
            }
            result
        }
        Err(unsigned) => json!({ "error": unsigned.text(), "key_version": 0, "reference": reference }),
    }
}
