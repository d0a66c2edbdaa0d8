//! Settings that are a choice of a few words.

use std::str::FromStr;

use crate::SettingError;

/// Which signatures of a batch are verified before they leave. The only one of a call always is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum VerifySignatures {
    /// One of each batch, chosen at random, and all of them when it fails. What goes wrong with signatures goes wrong
    /// with all of a call, and verifying each of them costs more than the rest of an exchange.
    #[default]
    Sampled,
    /// Each.
    Always,
}

impl FromStr for VerifySignatures {
    type Err = SettingError;

    fn from_str(text: &str) -> Result<Self, SettingError> {
        match text {
            "sampled" => Ok(Self::Sampled),
            "always" => Ok(Self::Always),
            _ => Err(SettingError::VerifySignatures),
        }
    }
}

/// What RSA keys sign with; keys of other types have one algorithm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RsaAlgorithm {
    /// RSASSA-PKCS1-v1_5 with SHA-256, which every verifier knows.
    #[default]
    Rs256,
    /// RSASSA-PSS with SHA-256.
    Ps256,
}

impl FromStr for RsaAlgorithm {
    type Err = SettingError;

    fn from_str(text: &str) -> Result<Self, SettingError> {
        match text {
            "RS256" => Ok(Self::Rs256),
            "PS256" => Ok(Self::Ps256),
            _ => Err(SettingError::RsaAlgorithm),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn choices_are_read_as_they_are_written() {
        assert_eq!("always".parse(), Ok(VerifySignatures::Always));
        assert_eq!("sampled".parse(), Ok(VerifySignatures::default()));
        assert_eq!("never".parse::<VerifySignatures>(), Err(SettingError::VerifySignatures));
        assert_eq!("PS256".parse(), Ok(RsaAlgorithm::Ps256));
        assert_eq!("RS256".parse(), Ok(RsaAlgorithm::default()));
        assert_eq!("ES256".parse::<RsaAlgorithm>(), Err(SettingError::RsaAlgorithm));
    }
}
