//! How Vault is reached, and the names that end up in its URLs and headers.
//!
//! Vault decodes a path before it routes it, so a name with `..`, `%` or `?` in it would reach another endpoint than
//! the one meant. The types here cannot hold such a name.

use std::{fmt, path::PathBuf, str::FromStr, time::Duration};

use secrecy::SecretString;

use crate::choices::{RsaAlgorithm, VerifySignatures};

/// Why a setting cannot be used. Displays as a rule that follows the name of the setting: "must not be empty".
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SettingError {
    /// Not a name that Vault accepts for a key.
    #[error("must be letters, digits, '_', '-' and '.', and start and end with a letter, a digit or '_'")]
    KeyName,
    /// Not a path of safe segments.
    #[error(
        "must be segments of letters, digits, '_', '-' and '.' with one '/' between them, none of them '.' or '..', \
         and no '/' at either end"
    )]
    Path,
    /// Not a token.
    #[error("must be one word of printable ASCII")]
    Token,
    /// Not a way to check signatures.
    #[error("must be \"sampled\" or \"always\"")]
    VerifySignatures,
    /// Not an algorithm that RSA keys sign with.
    #[error("must be \"RS256\" or \"PS256\"")]
    RsaAlgorithm,
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// Vault's own rule, `\w(([\w-.]+)?\w)?`.
fn check_key_name(text: &str) -> Result<(), SettingError> {
    let bytes = text.as_bytes();
    let ends = [bytes.first(), bytes.last()];
    let good = ends.iter().all(|end| end.is_some_and(|byte| is_word(*byte)))
        && bytes.iter().all(|byte| is_word(*byte) || matches!(byte, b'-' | b'.'));
    good.then_some(()).ok_or(SettingError::KeyName)
}

fn check_path(text: &str) -> Result<(), SettingError> {
    let is_safe = |segment: &str| {
        !matches!(segment, "" | "." | "..")
            && segment.bytes().all(|byte| is_word(byte) || matches!(byte, b'-' | b'.'))
    };
    text.split('/').all(is_safe).then_some(()).ok_or(SettingError::Path)
}

/// Whether a text can be a Vault token.
///
/// # Errors
/// [`SettingError::Token`].
pub fn check_token(text: &str) -> Result<(), SettingError> {
    let good = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
    good.then_some(()).ok_or(SettingError::Token)
}

macro_rules! checked_text {
    ($(#[$doc:meta])* $name:ident, $check:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash)]
        pub struct $name(String);

        impl $name {
            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = SettingError;

            fn from_str(text: &str) -> Result<Self, SettingError> {
                $check(text).map(|()| Self(text.to_owned()))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

checked_text!(
    /// The name of a transit key.
    KeyName, check_key_name
);
checked_text!(
    /// Where an engine or an auth method is mounted, without slashes at the ends: `transit`, `auth/of/a/team`.
    MountPath, check_path
);
checked_text!(
    /// A namespace, without slashes at the ends: `team-a`, `org/team-a`.
    Namespace, check_path
);

/// Where the Vault token comes from.
#[derive(Debug, Clone)]
pub enum VaultAuth {
    /// A fixed token, for development.
    Token(SecretString),
    /// A file that a Vault agent keeps current.
    TokenFile(PathBuf),
    /// A login with jwtlet's own service account token.
    Kubernetes(KubernetesLogin),
}

/// What a login with Vault's Kubernetes auth method needs.
#[derive(Debug, Clone)]
pub struct KubernetesLogin {
    /// The role to log in with.
    pub role: String,
    /// Where the auth method is mounted, without the leading `auth/`; `kubernetes` by default.
    pub mount: MountPath,
    /// The file with the service account token.
    pub token_file: PathBuf,
}

/// How Vault is reached and which key signs.
#[derive(Debug, Clone)]
pub struct VaultSettings {
    /// `http://` or `https://`, a host, and the path of a proxy if there is one; without `/v1`.
    pub url: String,
    /// Where the token comes from.
    pub auth: VaultAuth,
    /// The signing key.
    pub key_name: KeyName,
    /// Where the transit engine is mounted.
    pub transit_mount: MountPath,
    /// The namespace of the engine and the auth method.
    pub namespace: Option<Namespace>,
    /// The only certificate authorities to trust, as PEM; the system's own when this is not set.
    pub ca_file: Option<PathBuf>,
    /// The most time that opening a connection may take.
    pub connect_timeout: Duration,
    /// The most time that a call may take, and that an exchange waits for Vault altogether.
    pub request_timeout: Duration,
    /// How old a key version must be before it signs. At least as long as verifiers cache the key set.
    pub publish_before_sign: Duration,
    /// How long issued tokens live, and so how long a version stays published after it was superseded.
    pub token_ttl: Duration,
    /// The most signatures that one call asks for: 1 to [`LARGEST_BATCH`].
    pub max_batch: usize,
    /// The most calls for signatures that are under way at once, from 1.
    pub max_in_flight: usize,
    /// Which signatures of a batch are verified before they leave.
    pub verify_signatures: VerifySignatures,
    /// What RSA keys sign with.
    pub signature_algorithm: RsaAlgorithm,
}

/// The most signatures that one call can ask for: OpenBao refuses a request of more than 1000 JSON strings, of which
/// each signature takes four and the rest of the request ten.
pub const LARGEST_BATCH: usize = 240;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_name_follows_vaults_rule() {
        for good in ["k", "_", "signing-jwtlet_pc", "a.b", "a..b", "K9"] {
            assert_eq!(good.parse::<KeyName>().unwrap().as_str(), good);
        }
        for bad in ["", "-a", "a-", ".a", "a.", "..", "a/b", "a b", "a%2fb", "a?b", "a#b", "a\\b", "ä"] {
            assert_eq!(bad.parse::<KeyName>(), Err(SettingError::KeyName), "{bad}");
        }
    }

    #[test]
    fn a_path_cannot_leave_its_place() {
        for good in ["transit", "a/b-c/d.e", "..a"] {
            assert_eq!(good.parse::<MountPath>().unwrap().to_string(), good);
            assert!(good.parse::<Namespace>().is_ok());
        }
        for bad in ["", "/a", "a/", "a//b", "..", "a/../b", "a/.", "a%2e", "a?b", "a#b", "a\\b", "a b", "é"]
        {
            assert_eq!(bad.parse::<MountPath>(), Err(SettingError::Path), "{bad}");
            assert_eq!(bad.parse::<Namespace>(), Err(SettingError::Path), "{bad}");
        }
    }

    #[test]
    fn a_token_is_one_printable_word() {
        assert_eq!(check_token("hvs.CAESI"), Ok(()));
        for bad in ["", "two words", "line\n", "ü"] {
            assert_eq!(check_token(bad), Err(SettingError::Token));
        }
    }

    #[test]
    fn a_token_is_not_shown() {
        let auth = VaultAuth::Token(SecretString::from("hvs.secret"));
        assert!(!format!("{auth:?}").contains("hvs.secret"));
    }
}
