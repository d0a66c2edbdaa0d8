//! What people write: names, and records in files.

use std::{
    fs,
    io::{self, Read},
    path::{Path, PathBuf},
};

use jwtlet_core::{name::NameError, strict_json};
use serde_json::Value;

use crate::{
    error::Error,
    text::without_tokens,
    yaml::{self, PaddedNumber, Place},
};

/// The longest file that is read, in bytes: what the server takes.
const MAX_BYTES: u64 = 16 * 1024 * 1024;

/// Why what was written cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum InputError {
    #[error("{name}: {rule}")]
    Name { name: &'static str, rule: NameError },
    #[error(
        "both a token file and a service account are given; give one of --token-file and --service-account \
         (JWTLET_TOKEN_FILE and JWTLET_SERVICE_ACCOUNT count too)"
    )]
    TwoTokenSources,
    #[error(
        "--client-certificate and --client-key must be given together (JWTLET_CLIENT_CERTIFICATE and \
         JWTLET_CLIENT_KEY count too)"
    )]
    HalfClientCertificate,
    #[error("--service-account must have the form NAMESPACE/NAME")]
    ServiceAccount,
    #[error("{} is longer than 16 MiB", .0.display())]
    TooLong(PathBuf),
    #[error("{} is not JSON", .0.display())]
    Json(PathBuf, #[source] serde_json::Error),
    #[error("{} is not YAML", .0.display())]
    Yaml(PathBuf, #[source] Box<serde_saphyr::Error>),
    #[error("{} is not UTF-8 at line {} column {}", .0.display(), .1.line, .1.column)]
    NotUtf8(PathBuf, Place),
    #[error("{}:{}:{}: {}: {number}", .path.display(), .place.line, .place.column, .number.field)]
    Number { path: PathBuf, place: Place, number: PaddedNumber },
    #[error("{} has more than one document, and a record is one", .0.display())]
    SeveralDocuments(PathBuf),
    #[error("{0}")]
    Record(&'static str),
    #[error("{} has no file that ends in .yaml or .yml", .0.display())]
    EmptyFolder(PathBuf),
    #[error("there is no document in the files, and an empty policy is not applied")]
    NoDocuments,
}

impl InputError {
    /// Whether a file that can be read is at fault.
    pub(crate) fn is_no_document(&self) -> bool {
        matches!(
            self,
            Self::Json(..)
                | Self::Yaml(..)
                | Self::NotUtf8(..)
                | Self::Number { .. }
                | Self::SeveralDocuments(_)
        )
    }
}

/// Refuses a token in the place of the name of a file.
pub(crate) fn refuse_token(path: &Path) -> Result<(), Error> {
    if without_tokens(&path.to_string_lossy()) == path.to_string_lossy() {
        Ok(())
    } else {
        Err(Error::TokenInArguments("the name of the file"))
    }
}

/// Reads a file, or standard input for `-`.
pub(crate) fn read(path: &Path) -> Result<String, Error> {
    refuse_token(path)?;
    let failed = |source| Error::Read { path: path.to_owned(), source };
    let mut bytes = Vec::new();
    let read = if path == Path::new("-") {
        io::stdin().lock().take(MAX_BYTES + 1).read_to_end(&mut bytes)
    } else {
        fs::File::open(path).and_then(|file| file.take(MAX_BYTES + 1).read_to_end(&mut bytes))
    };
    let length = read.map_err(failed)?;
    if u64::try_from(length).is_ok_and(|length| length <= MAX_BYTES) {
        text(path, bytes)
    } else {
        Err(InputError::TooLong(path.to_owned()).into())
    }
}

fn text(path: &Path, bytes: Vec<u8>) -> Result<String, Error> {
    String::from_utf8(bytes).map_err(|error| {
        let good = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        InputError::NotUtf8(path.to_owned(), Place::after(&String::from_utf8_lossy(good))).into()
    })
}

/// Reads a document: JSON where it begins like JSON, YAML otherwise.
pub(crate) fn document(path: &Path) -> Result<Value, Error> {
    let text = read(path)?;
    if text.trim_start().starts_with(['{', '[']) {
        strict_json::from_slice(text.as_bytes())
            .map_err(|cause| InputError::Json(path.to_owned(), cause).into())
    } else {
        Ok(yaml_document(path, &text)?)
    }
}

/// The document of a text, null where there is none.
fn yaml_document(path: &Path, text: &str) -> Result<Value, InputError> {
    let path = || path.to_owned();
    let nodes = yaml::parse(text).map_err(|cause| InputError::Yaml(path(), Box::new(cause)))?;
    let node = match &nodes[..] {
        [] => return Ok(Value::Null),
        [node] => node,
        _ => return Err(InputError::SeveralDocuments(path())),
    };
    match node.padded_numbers(text).into_iter().next() {
        None => Ok(node.to_json()),
        Some(number) => {
            let place = node.place_of(&number.field);
            Err(InputError::Number { path: path(), place, number })
        }
    }
}

/// Reads a JSON object from the command line.
pub(crate) fn json_object(text: &str) -> Result<Value, String> {
    match strict_json::from_slice(text.as_bytes()) {
        Ok(value) if value.is_object() => Ok(value),
        Ok(_) => Err("must be a JSON object".into()),
        Err(error) => Err(format!("must be a JSON object: {error}")),
    }
}
