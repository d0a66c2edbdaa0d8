//! `transit/keys`: creating, reading, rotating, configuring and deleting keys.

use std::sync::Arc;

use serde_json::json;

use super::super::answer::{Answer, Refusal};
use super::super::params::Params;
use super::super::state::State;
use super::key::{KeyType, TransitKey};
use crate::encoding::from_base64;
use crate::error::KeyError;

const CREATE: [&str; 9] = [
    "name",
    "type",
    "derived",
    "convergent_encryption",
    "exportable",
    "allow_plaintext_backup",
    "context",
    "auto_rotate_period",
    "key_size",
];
const CONFIG: [&str; 7] = [
    "name",
    "min_decryption_version",
    "min_encryption_version",
    "deletion_allowed",
    "exportable",
    "allow_plaintext_backup",
    "auto_rotate_period",
];

pub(super) fn list(state: &State) -> Result<Answer, Refusal> {
    let names = state.keys.names();
    if names.is_empty() {
        return Err(Refusal::nothing_here());
    }
    Ok(Answer::data(json!({ "keys": names }), Vec::new()))
}

pub(super) fn read(state: &State, name: &str, params: &Params) -> Result<Answer, Refusal> {
    let key = state.keys.get(name).ok_or_else(Refusal::nothing_here)?;
    let context = params.text("context")?.map(|context| from_base64(&context));
    let context = context.transpose().map_err(|_| Refusal::bad_request("failed to base64-decode context"))?;
    Ok(Answer::data(key.describe(context.as_deref()), Vec::new()))
}

pub(super) async fn create(state: &Arc<State>, name: &str, params: Params) -> Result<Answer, Refusal> {
    let asked = params.text("type")?.unwrap_or_else(|| "aes256-gcm96".to_owned());
    let key_type: KeyType =
        asked.parse().map_err(|_| Refusal::bad_request(format!("unknown key type {asked}")))?;
    let derived = params.flag("derived")?.unwrap_or_default();
    if derived && !key_type.can_be_derived() {
        return Err(Refusal::bad_request(format!(
            "key derivation and convergent encryption not supported for keys of type {key_type}"
        )));
    }
    let period = rotation_period(&params)?;
    let (exportable, backup) = (params.flag("exportable")?, params.flag("allow_plaintext_backup")?);
    let mut warnings = params.warnings(&CREATE);
    if blocking(state, name, move |state, name| state.keys.create(name, key_type, derived)).await? {
        let change = |key: &mut TransitKey| {
            key.exportable = exportable.unwrap_or_default();
            key.allow_plaintext_backup = backup.unwrap_or_default();
            key.auto_rotate_period = period.unwrap_or_default();
        };
        state.keys.change(name, change).map_err(refusal)?;
    } else {
        warnings.push(format!("key {name} already existed"));
    }
    described(state, name, warnings)
}

pub(super) async fn rotate(state: &Arc<State>, name: &str) -> Result<Answer, Refusal> {
    blocking(state, name, |state, name| state.keys.rotate(name)).await?;
    described(state, name, Vec::new())
}

pub(super) fn configure(state: &State, name: &str, params: &Params) -> Result<Answer, Refusal> {
    let period = rotation_period(params)?;
    let decryption = version(params, "min_decryption_version", "min decryption version cannot be negative")?;
    let encryption = version(params, "min_encryption_version", "min encryption version cannot be negative")?;
    let deletion = params.flag("deletion_allowed")?;
    let (exportable, backup) = (params.flag("exportable")?, params.flag("allow_plaintext_backup")?);
    let change = |key: &mut TransitKey| {
        // Vault treats a minimum of 0 for decryption as 1.
        let decryption = decryption.map_or(key.min_decryption, |version| version.max(1));
        let encryption = encryption.unwrap_or(key.min_encryption);
        for (minimum, of) in [(decryption, "decryption"), (encryption, "encryption")] {
            if minimum > key.latest() {
                let latest = key.latest();
                return Err(format!(
                    "cannot set min {of} version of {minimum}, latest key version is {latest}"
                ));
            }
        }
        if encryption > 0 && encryption < decryption {
            return Err(format!(
                "cannot set min encryption/decryption values; min encryption version of {encryption} must be \
                 greater than or equal to min decryption version of {decryption}"
            ));
        }
        if decryption < key.min_available {
            return Err("min decryption version should not be less than min available version".to_owned());
        }
        key.min_decryption = decryption;
        key.min_encryption = encryption;
        key.deletion_allowed = deletion.unwrap_or(key.deletion_allowed);
        key.exportable |= exportable.unwrap_or_default();
        key.allow_plaintext_backup |= backup.unwrap_or_default();
        key.auto_rotate_period = period.unwrap_or(key.auto_rotate_period);
        Ok(())
    };
    state.keys.change(name, change).map_err(|_| missing(name))?.map_err(Refusal::bad_request)?;
    described(state, name, params.warnings(&CONFIG))
}

pub(super) fn trim(state: &State, name: &str, params: &Params) -> Result<Answer, Refusal> {
    let minimum = version(params, "min_available_version", "minimum available version must be positive")?
        .ok_or_else(|| Refusal::bad_request("missing min_available_version"))?;
    let change = |key: &mut TransitKey| {
        if minimum < key.min_available {
            return Err("minimum available version cannot be decremented");
        }
        if key.min_encryption == 0 {
            return Err("minimum available version cannot be set when minimum encryption version is not set");
        }
        if minimum > key.min_encryption {
            return Err("minimum available version cannot be greater than minimum encryption version");
        }
        if minimum > key.min_decryption {
            return Err("minimum available version cannot be greater than minimum decryption version");
        }
        key.min_available = minimum;
        key.versions = key.versions.split_off(&minimum);
        Ok(())
    };
    state.keys.change(name, change).map_err(|_| missing(name))?.map_err(Refusal::bad_request)?;
    described(state, name, params.warnings(&["name", "min_available_version"]))
}

pub(super) fn delete(state: &State, name: &str) -> Result<Answer, Refusal> {
    let key = state.keys.get(name).ok_or_else(|| {
        Refusal::bad_request(format!("error deleting policy {name}: could not delete key; not found"))
    })?;
    if !key.deletion_allowed {
        return Err(Refusal::bad_request(format!(
            "error deleting policy {name}: deletion is not allowed for this key"
        )));
    }
    state.keys.delete(name);
    Ok(Answer::Empty)
}

pub(super) fn soft_delete(state: &State, name: &str, deleted: bool) -> Result<Answer, Refusal> {
    state.keys.change(name, |key| key.soft_deleted = deleted).map_err(|_| missing(name))?;
    described(state, name, Vec::new())
}

/// Makes keys away from the threads that serve connections: RSA takes its time.
async fn blocking<T: Send + 'static>(
    state: &Arc<State>,
    name: &str,
    work: impl FnOnce(&State, &str) -> Result<T, KeyError> + Send + 'static,
) -> Result<T, Refusal> {
    let (state, name) = (Arc::clone(state), name.to_owned());
    let result = tokio::task::spawn_blocking(move || work(&state, &name)).await;
    result.map_err(|_| Refusal::internal("key generation failed"))?.map_err(refusal)
}

fn described(state: &State, name: &str, warnings: Vec<String>) -> Result<Answer, Refusal> {
    let key = state.keys.get(name).ok_or_else(Refusal::nothing_here)?;
    Ok(Answer::data(key.describe(None), warnings))
}

fn refusal(error: KeyError) -> Refusal {
    match error {
        KeyError::NotFound(_) => Refusal::bad_request("key not found"),
        other => Refusal::internal(other.to_string()),
    }
}

fn missing(name: &str) -> Refusal {
    Refusal::bad_request(format!("no existing key named {name} could be found"))
}

fn version(params: &Params, name: &str, negative: &str) -> Result<Option<u64>, Refusal> {
    let asked = params.integer(name)?;
    asked.map(|asked| u64::try_from(asked).map_err(|_| Refusal::bad_request(negative))).transpose()
}

fn rotation_period(params: &Params) -> Result<Option<i64>, Refusal> {
    match params.seconds("auto_rotate_period")? {
        Some(period) if period != 0 && period < 3600 => {
            Err(Refusal::bad_request("auto rotate period must be 0 to disable or at least an hour"))
        }
        period => Ok(period),
    }
}
