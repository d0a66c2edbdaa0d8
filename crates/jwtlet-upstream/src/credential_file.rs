//! A token in a file that somebody else keeps current: the kubelet, or a Vault agent.
//!
//! Both replace the file by renaming, so there is never half a token to read; both may also be late or gone for a
//! moment. Hence: read again after a minute at most, at once when the token is refused, and keep the last good one
//! over a file that is missing or empty. Polling is always right; a watch on the file dies with the first rename.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use secrecy::{ExposeSecret, SecretString};
use tracing::warn;

/// How long a token is used without looking at the file.
const MAX_AGE: Duration = Duration::from_mins(1);

/// No file with a token in it is longer, in bytes.
const MAX_BYTES: u64 = 64 * 1024;

/// Why there is no token.
#[derive(Debug, thiserror::Error)]
pub enum CredentialError {
    /// The file cannot be read.
    #[error("cannot read the token file {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        cause: io::Error,
    },
    /// The file is there and holds no token.
    #[error("the token file {0} holds no usable token: {1}")]
    Unusable(PathBuf, &'static str),
}

/// A token file. `Debug` does not show the token.
#[derive(Debug)]
pub struct CredentialFile {
    path: PathBuf,
    last: Mutex<Option<(SecretString, Instant)>>,
}

impl CredentialFile {
    /// Names the file; nothing is read yet.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), last: Mutex::new(None) }
    }

    /// The file's path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The token, read again when the last reading is older than a minute.
    ///
    /// # Errors
    /// When there is no token and never was one.
    pub fn token(&self) -> Result<SecretString, CredentialError> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        match last.as_ref() {
            Some((token, read_at)) if read_at.elapsed() < MAX_AGE => Ok(token.clone()),
            _ => self.read_into(&mut last),
        }
    }

    /// Reads the file now, because this token was refused; `None` when the file holds no other.
    #[must_use]
    pub fn replacement(&self, refused: &SecretString) -> Option<SecretString> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let token = self.read_into(&mut last).ok()?;
        (token.expose_secret() != refused.expose_secret()).then_some(token)
    }

    fn read_into(&self, last: &mut Option<(SecretString, Instant)>) -> Result<SecretString, CredentialError> {
        match (self.read(), last.as_mut()) {
            (Ok(token), _) => {
                *last = Some((token.clone(), Instant::now()));
                Ok(token)
            }
            (Err(error), Some((token, read_at))) => {
                warn!(error = jwtlet_core::upstream::chain(&error), "the last good token stays in use");
                *read_at = Instant::now();
                Ok(token.clone())
            }
            (Err(error), None) => Err(error),
        }
    }

    fn read(&self) -> Result<SecretString, CredentialError> {
        let unusable = |why| CredentialError::Unusable(self.path.clone(), why);
        let read_error = |cause| CredentialError::Read { path: self.path.clone(), cause };
        if fs::metadata(&self.path).map_err(read_error)?.len() > MAX_BYTES {
            return Err(unusable("it is longer than 64 KiB"));
        }
        let text = SecretString::from(fs::read_to_string(&self.path).map_err(read_error)?);
        let token = text.expose_secret().trim();
        if token.is_empty() {
            Err(unusable("it is empty"))
        } else if token.starts_with('{') {
            Err(unusable("it holds JSON; set up the agent's sink without wrap_ttl and without encryption"))
        } else if token.bytes().any(|b| !b.is_ascii_graphic()) {
            Err(unusable("a token is one word of printable ASCII"))
        } else {
            Ok(token.into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &str) -> (tempfile::TempDir, CredentialFile) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("token");
        fs::write(&path, text).unwrap();
        (dir, CredentialFile::new(path))
    }

    #[test]
    fn the_token_is_trimmed() {
        let (_dir, file) = file(" s.token\r\n");
        assert_eq!(file.token().unwrap().expose_secret(), "s.token");
        assert!(!format!("{file:?}").contains("s.token"));
    }

    #[test]
    fn a_refused_token_is_replaced_at_once_when_the_file_has_another() {
        let (_dir, file) = file("first");
        let first = file.token().unwrap();
        assert!(file.replacement(&first).is_none());
        fs::write(file.path(), "second").unwrap();
        assert_eq!(file.token().unwrap().expose_secret(), "first");
        assert_eq!(file.replacement(&first).unwrap().expose_secret(), "second");
        assert_eq!(file.token().unwrap().expose_secret(), "second");
    }

    #[test]
    fn the_last_good_token_survives_an_empty_or_missing_file() {
        let (_dir, file) = file("good");
        let good = file.token().unwrap();
        fs::write(file.path(), "\n").unwrap();
        assert!(file.replacement(&good).is_none());
        fs::remove_file(file.path()).unwrap();
        assert!(file.replacement(&good).is_none());
        assert_eq!(file.token().unwrap().expose_secret(), "good");
    }

    #[test]
    fn a_file_without_a_token_says_why() {
        for (text, why) in [
            ("", "it is empty"),
            (
                "{\"wrap_info\":1}",
                "it holds JSON; set up the agent's sink without wrap_ttl and without encryption",
            ),
            ("two words", "a token is one word of printable ASCII"),
            (&"x".repeat(65 * 1024), "it is longer than 64 KiB"),
        ] {
            let (_dir, file) = file(text);
            assert!(file.token().unwrap_err().to_string().ends_with(why), "{why}");
        }
        let missing = CredentialFile::new("/nonexistent/token").token().unwrap_err();
        assert_eq!(missing.to_string(), "cannot read the token file /nonexistent/token");
    }
}
