//! A signature as transit writes it: `vault:v3:` and the base64url of its bytes.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

/// What is wrong with a signature. It is never handed to a caller then.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SignatureFault {
    #[error("it does not have the form vault:v<version>:<base64url>")]
    Form,
    #[error("version {actual} made it instead of version {expected}")]
    OtherVersion { expected: u32, actual: u32 },
    #[error("it is not base64url without padding")]
    NotBase64Url(#[source] base64::DecodeError),
    #[error("it is {actual} bytes long instead of {expected}")]
    Length { expected: usize, actual: usize },
    #[error("it does not verify with the public key of its version")]
    Invalid,
}

/// The bytes of a signature that this version made.
pub(crate) fn decode(text: &str, expected: u32) -> Result<Vec<u8>, SignatureFault> {
    let (number, encoded) =
        text.strip_prefix("vault:v").and_then(|rest| rest.split_once(':')).ok_or(SignatureFault::Form)?;
    if number.bytes().any(|byte| !byte.is_ascii_digit()) {
        return Err(SignatureFault::Form);
    }
    let actual = number.parse().map_err(|_| SignatureFault::Form)?;
    if actual != expected {
        return Err(SignatureFault::OtherVersion { expected, actual });
    }
    URL_SAFE_NO_PAD.decode(encoded).map_err(SignatureFault::NotBase64Url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_in_the_prefix() {
        assert_eq!(decode("vault:v3:-_8", 3), Ok(vec![0xfb, 0xff]));
        assert_eq!(decode("vault:v4:-_8", 3), Err(SignatureFault::OtherVersion { expected: 3, actual: 4 }));
    }

    #[test]
    fn another_form_is_refused() {
        for text in
            ["", "vault:", "vault:v3", "vault:v:AA", "vault:v+3:AA", "vault:v 3:AA", "v3:AA", " vault:v3:AA"]
        {
            assert_eq!(decode(text, 3), Err(SignatureFault::Form), "{text}");
        }
        for text in ["vault:v3:+/8", "vault:v3:-_8=", "vault:v3:A", "vault:v3:-_9", "vault:v3:AA:AA"] {
            assert!(matches!(decode(text, 3), Err(SignatureFault::NotBase64Url(_))), "{text}");
        }
    }
}
