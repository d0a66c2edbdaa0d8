//! A presented token before anybody vouches for it.
//!
//! Two local checks come before any remote call. [`SubjectToken::parse`] looks at the shape alone: Kubernetes splits
//! its input at spaces and takes a token with a leading space for an anonymous user, so nothing but the JWT alphabet
//! may pass. [`SubjectToken::decode`] reads header and claims and refuses what no service account token has. Neither
//! check accepts anything: they save calls for junk, and close ways to be misread.

use std::fmt;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jiff::{SignedDuration, Timestamp};
use memchr::memchr_iter;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value};

use crate::{Audience, strict_json, subject::Rejection};

/// The longest token that is looked at, in bytes.
pub const MAX_BYTES: usize = 16 * 1024;

/// How far the issuer's clock may be ahead of ours: what Kubernetes itself tolerates.
const CLOCK_SKEW: SignedDuration = SignedDuration::from_secs(60);

/// Signatures that a holder of the public key cannot make. No `none`, no `HS*` (RFC 8725 §3.1, §3.2).
const ALGORITHMS: [&str; 10] =
    ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"];

/// Header parameters that change how a JWS is read or name a key of the sender's choice.
const REFUSED_HEADERS: [&str; 9] = ["crit", "b64", "jwk", "jku", "x5u", "x5c", "zip", "enc", "cty"];

/// A token in the shape of a compact JWS. It is a credential: `Debug` does not show it.
#[derive(Clone)]
pub struct SubjectToken(SecretString);

impl SubjectToken {
    /// Takes a text that has the shape of a compact JWS.
    ///
    /// # Errors
    /// [`Rejection::TooLong`] and [`Rejection::NotJwt`].
    pub fn parse(text: &str) -> Result<Self, Rejection> {
        if text.len() > MAX_BYTES {
            return Err(Rejection::TooLong);
        }
        let mut dots = memchr_iter(b'.', text.as_bytes());
        let (Some(first), Some(second), None) = (dots.next(), dots.next(), dots.next()) else {
            return Err(Rejection::NotJwt);
        };
        let parts = [&text[..first], &text[first + 1..second], &text[second + 1..]];
        if parts.iter().all(|part| !part.is_empty() && is_base64url(part)) {
            Ok(Self(text.into()))
        } else {
            Err(Rejection::NotJwt)
        }
    }

    /// The token, to be sent to the cluster and nowhere else.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }

    /// Reads what the token says of itself. Nothing of it is verified.
    ///
    /// # Errors
    /// [`Rejection::NotJwt`], [`Rejection::Header`] and [`Rejection::Claims`].
    pub fn decode(&self) -> Result<UnverifiedClaims, Rejection> {
        let mut parts = self.expose().split('.').map(|part| URL_SAFE_NO_PAD.decode(part));
        let (Some(Ok(header)), Some(Ok(payload)), Some(Ok(_signature))) =
            (parts.next(), parts.next(), parts.next())
        else {
            return Err(Rejection::NotJwt);
        };
        check_header(
            &object(&header).ok_or(Rejection::Header("it must be a JSON object without repeated members"))?,
        )?;
        UnverifiedClaims::read(
            &object(&payload)
                .ok_or(Rejection::Claims("they must be a JSON object without repeated members"))?,
        )
    }
}

impl fmt::Debug for SubjectToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SubjectToken(..)")
    }
}

/// Whether the text has no other characters than those of base64url. It looks at all of them: without a way out of the
/// loop the compiler checks many at a time, and each request pays for this check.
fn is_base64url(text: &str) -> bool {
    let is_member = |b: u8| matches!(b, b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_');
    text.bytes().fold(true, |all, b| all & is_member(b))
}

fn object(json: &[u8]) -> Option<Map<String, Value>> {
    match strict_json::from_slice(json) {
        Ok(Value::Object(members)) => Some(members),
        _ => None,
    }
}

fn check_header(header: &Map<String, Value>) -> Result<(), Rejection> {
    if !header.get("alg").and_then(Value::as_str).is_some_and(|alg| ALGORITHMS.contains(&alg)) {
        return Err(Rejection::Header("alg must name an asymmetric signature"));
    }
    if REFUSED_HEADERS.iter().any(|name| header.contains_key(*name)) {
        return Err(Rejection::Header("a service account token has alg, kid and typ only"));
    }
    let typ_is_jwt = |typ: &Value| typ.as_str().is_some_and(|typ| typ.eq_ignore_ascii_case("JWT"));
    if !header.get("typ").is_none_or(typ_is_jwt) {
        return Err(Rejection::Header("typ must be JWT or absent"));
    }
    let sane_kid = |kid: &Value| {
        kid.as_str().is_some_and(|kid| kid.len() <= 1024 && kid.chars().all(|c| !c.is_control()))
    };
    if !header.get("kid").is_none_or(sane_kid) {
        return Err(Rejection::Header("kid must be a text of at most 1024 bytes"));
    }
    Ok(())
}

/// What a token says of itself. The name is the warning: nobody has verified it yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnverifiedClaims {
    /// `sub`, where it is a text.
    pub subject: Option<String>,
    /// `aud`, a single text counting as a list of one.
    pub audiences: Vec<String>,
    /// `exp`, in whole seconds.
    pub expires_at: Timestamp,
    not_before: Option<Timestamp>,
    issued_at: Option<Timestamp>,
}

impl UnverifiedClaims {
    fn read(claims: &Map<String, Value>) -> Result<Self, Rejection> {
        let audiences = match claims.get("aud") {
            None => Vec::new(),
            Some(Value::String(audience)) => vec![audience.clone()],
            Some(Value::Array(list)) => list
                .iter()
                .map(|item| item.as_str().map(str::to_owned))
                .collect::<Option<_>>()
                .ok_or(Rejection::Claims("aud must be a text or a list of texts"))?,
            Some(_) => return Err(Rejection::Claims("aud must be a text or a list of texts")),
        };
        let time =
            |name, rule| claims.get(name).map(|value| time(value).ok_or(Rejection::Claims(rule))).transpose();
        let expires_at = time("exp", "exp must be a time in seconds since 1970")?
            .ok_or(Rejection::Claims("exp is missing; legacy tokens without an end are not accepted"))?;
        let issued_at = time("iat", "iat must be a time in seconds since 1970")?;
        if issued_at.is_some_and(|issued_at| expires_at < issued_at) {
            return Err(Rejection::Claims("exp must not be before iat"));
        }
        Ok(Self {
            subject: claims.get("sub").and_then(Value::as_str).map(str::to_owned),
            audiences,
            expires_at,
            not_before: time("nbf", "nbf must be a time in seconds since 1970")?,
            issued_at,
        })
    }

    /// Checks what can be told without the cluster: the times, and that the token names the audience.
    ///
    /// # Errors
    /// [`Rejection::Expired`] without any leeway, [`Rejection::NotYetValid`] beyond one minute,
    /// [`Rejection::WrongAudience`].
    pub fn check(&self, audience: &Audience, now: Timestamp) -> Result<(), Rejection> {
        if self.expires_at <= now {
            return Err(Rejection::Expired);
        }
        let ahead = |time: Option<Timestamp>| time.is_some_and(|time| time.duration_since(now) > CLOCK_SKEW);
        if ahead(self.not_before) || ahead(self.issued_at) {
            return Err(Rejection::NotYetValid);
        }
        if !self.audiences.iter().any(|candidate| audience.as_str() == candidate) {
            return Err(Rejection::WrongAudience(audience.clone()));
        }
        Ok(())
    }
}

/// A `NumericDate` of RFC 7519 §2 between 1970 and the year 9999; a fraction of a second is cut off.
fn time(value: &Value) -> Option<Timestamp> {
    let seconds = match value.as_i64() {
        Some(seconds) => seconds,
        None => whole_seconds(value.as_f64()?)?,
    };
    if seconds < 0 { None } else { Timestamp::from_second(seconds).ok() }
}

fn whole_seconds(seconds: f64) -> Option<i64> {
    #[expect(clippy::cast_possible_truncation, reason = "in range, and dropping the fraction is the point")]
    (0.0..=253_402_207_200.0).contains(&seconds).then_some(seconds as i64)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    const NOW: i64 = 1_800_000_000;

    fn token(header: &str, claims: &str) -> SubjectToken {
        let encode = |part: &str| URL_SAFE_NO_PAD.encode(part);
        SubjectToken::parse(&format!("{}.{}.c2ln", encode(header), encode(claims))).unwrap()
    }

    fn check(claims: &Value) -> Result<(), Rejection> {
        let claims = token(r#"{"alg":"RS256","kid":"k"}"#, &claims.to_string()).decode()?;
        claims.check(&Audience::parse("jwtlet").unwrap(), Timestamp::from_second(NOW).unwrap())
    }

    #[test]
    fn a_service_account_token_passes() {
        let aud = json!(["x", "jwtlet"]);
        assert_eq!(check(&json!({"aud": aud, "exp": NOW + 1, "iat": NOW, "nbf": NOW, "sub": "s"})), Ok(()));
        assert_eq!(check(&json!({"aud": "jwtlet", "exp": 1_800_000_001.9, "nbf": NOW + 60})), Ok(()));
    }

    #[test]
    fn times_are_checked_to_the_second() {
        for (claims, rejection) in [
            (json!({"aud": "jwtlet", "exp": NOW}), Rejection::Expired),
            (json!({"aud": "jwtlet", "exp": 0}), Rejection::Expired),
            (json!({"aud": "jwtlet", "exp": NOW + 99, "nbf": NOW + 61}), Rejection::NotYetValid),
            (json!({"aud": "jwtlet", "exp": NOW + 99, "iat": NOW + 61}), Rejection::NotYetValid),
        ] {
            assert_eq!(check(&claims), Err(rejection), "{claims}");
        }
    }

    #[test]
    fn absurd_claims_are_refused() {
        for claims in [
            json!({"aud": "jwtlet"}),
            json!({"aud": "jwtlet", "exp": null}),
            json!({"aud": "jwtlet", "exp": "1"}),
            json!({"aud": "jwtlet", "exp": -1}),
            json!({"aud": "jwtlet", "exp": 1e30}),
            json!({"aud": "jwtlet", "exp": 1_u64 << 63}),
            json!({"aud": "jwtlet", "exp": NOW, "iat": NOW + 1}),
            json!({"aud": "jwtlet", "exp": NOW + 9, "iat": -1}),
            json!({"aud": {}, "exp": NOW + 9}),
            json!({"aud": ["jwtlet", 1], "exp": NOW + 9}),
        ] {
            assert!(matches!(check(&claims), Err(Rejection::Claims(_))), "{claims}");
        }
    }

    #[test]
    fn only_our_exact_audience_counts() {
        for aud in
            [json!([]), json!(""), json!("jwtle"), json!("jwtlet/"), json!("Jwtlet"), json!(["jwtlet2"])]
        {
            let audience = Audience::parse("jwtlet").unwrap();
            assert_eq!(
                check(&json!({"aud": aud, "exp": NOW + 9})),
                Err(Rejection::WrongAudience(audience)),
                "{aud}"
            );
        }
    }

    #[test]
    fn headers_that_no_service_account_token_has_are_refused() {
        for header in [
            r#"{"kid":"k"}"#,
            r#"{"alg":"none"}"#,
            r#"{"alg":"None"}"#,
            r#"{"alg":""}"#,
            r#"{"alg":256}"#,
            r#"{"alg":"HS256"}"#,
            r#"{"alg":"RS256","alg":"none"}"#,
            r#"{"alg":"RS256","crit":[]}"#,
            r#"{"alg":"RS256","b64":false,"crit":["b64"]}"#,
            r#"{"alg":"RS256","jku":"https://evil"}"#,
            r#"{"alg":"RS256","jwk":{}}"#,
            r#"{"alg":"RS256","cty":"JWT"}"#,
            r#"{"alg":"RS256","typ":"at+jwt"}"#,
            r#"{"alg":"RS256","kid":"a\u0000b"}"#,
            r#"{"alg":"RS256","kid":7}"#,
            "[]",
        ] {
            assert!(matches!(token(header, "{}").decode(), Err(Rejection::Header(_))), "{header}");
        }
    }

    #[test]
    fn encodings_that_are_not_canonical_are_refused() {
        for text in [
            "YR.e30.c2ln",
            "e30=.e30.c2ln",
            "e30.e30.",
            ".e30.c2ln",
            "e30.e30",
            "e30.e30.e30.e30",
            "a+b.e30.x",
        ] {
            let outcome = SubjectToken::parse(text).and_then(|token| token.decode());
            assert_eq!(outcome, Err(Rejection::NotJwt), "{text}");
        }
        for text in
            [" e30.e30.c2ln", "e30.e30.c2ln\n", "e30. e30.c2ln", "Bearer e30.e30.c2ln", "\"e30.e30.c2ln\""]
        {
            assert_eq!(SubjectToken::parse(text).err(), Some(Rejection::NotJwt), "{text}");
        }
    }

    #[test]
    fn the_longest_token_is_accepted_and_one_byte_more_is_not() {
        let text = |length: usize| format!("e30.e30.{}", "A".repeat(length - 8));
        assert!(SubjectToken::parse(&text(MAX_BYTES)).is_ok());
        assert_eq!(SubjectToken::parse(&text(MAX_BYTES + 1)).err(), Some(Rejection::TooLong));
    }

    proptest! {
        #[test]
        fn no_input_panics(text in r"[\PC.]{0,200}", header in r"\PC{0,60}", claims in r"\PC{0,60}") {
            let _ = SubjectToken::parse(&text).and_then(|token| token.decode());
            let _ = token(&format!("x{header}"), &format!("x{claims}")).decode();
        }
    }
}
