use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jiff::Timestamp;
use jwtlet_core::{Audience, SubjectToken, subject::Rejection, subject_token::MAX_BYTES};
use serde_json::Value;

/// A presented token, as a text; and, where the input is two lines, as a token with these header and claims.
///
/// What passes the check of its shape has the characters of a compact JWS and nothing else. What is decoded is JSON that
/// says the same to any other reader, and none of a rejection is taken from the token.
///
/// # Panics
/// Where that does not hold.
pub fn subject_token(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    check(text);
    if let Some((header, claims)) = text.split_once('\n') {
        check(&format!("{}.{}.c2ln", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims)));
    }
}

fn check(text: &str) {
    let Ok(token) = SubjectToken::parse(text) else { return };
    assert_eq!(token.expose(), text);
    assert!(text.len() <= MAX_BYTES);
    assert!(text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte)));
    let parts: Vec<_> = text.split('.').collect();
    assert_eq!(parts.len(), 3);
    let Ok(claims) = token.decode() else { return };

    let json =
        |part: &str| serde_json::from_slice::<Value>(&URL_SAFE_NO_PAD.decode(part).unwrap_or_default());
    let (header, other) = (json(parts[0]), json(parts[1]));
    assert!(header.is_ok() && other.is_ok());
    let (header, other) = (header.unwrap_or_default(), other.unwrap_or_default());
    assert!(!header["alg"].as_str().unwrap_or("none").to_lowercase().starts_with(['n', 'h']));
    assert!(header.get("crit").is_none() && header.get("jwk").is_none());
    assert_eq!(claims.subject.as_deref(), other["sub"].as_str());
    #[expect(clippy::cast_possible_truncation, reason = "a fraction is cut off, as RFC 7519 permits")]
    let expires = other["exp"].as_i64().or_else(|| other["exp"].as_f64().map(|seconds| seconds as i64));
    assert_eq!(Some(claims.expires_at.as_second()), expires);

    let (Ok(audience), Ok(now)) = (Audience::parse("jwtlet"), Timestamp::from_second(1_800_000_000)) else {
        return;
    };
    match claims.check(&audience, now) {
        Ok(()) => {
            assert!(claims.expires_at > now);
            let names = |aud: &Value| {
                aud == "jwtlet" || aud.as_array().is_some_and(|all| all.contains(&"jwtlet".into()))
            };
            assert!(names(&other["aud"]));
        }
        Err(rejection) => assert!(matches!(
            rejection,
            Rejection::Expired | Rejection::NotYetValid | Rejection::WrongAudience(_)
        )),
    }
}
