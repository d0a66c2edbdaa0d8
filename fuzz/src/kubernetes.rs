use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jwtlet_core::{Audience, SubjectToken};
use jwtlet_kubernetes::fuzzing::verdict;

/// An answer of Kubernetes to the review of a token.
///
/// A token is accepted only when the answer names its service account, with its group, and confirms our audience.
///
/// # Panics
/// Where that does not hold.
pub fn kubernetes(data: &[u8]) {
    const ACCOUNT: &str = "system:serviceaccount:edc-v:agent";
    let payload = format!(r#"{{"aud":"jwtlet","exp":1800000000,"sub":"{ACCOUNT}"}}"#);
    let token =
        [r#"{"alg":"RS256"}"#, &payload, "signature"].map(|part| URL_SAFE_NO_PAD.encode(part)).join(".");
    let (Ok(audience), Ok(Ok(claims))) =
        (Audience::parse("jwtlet"), SubjectToken::parse(&token).map(|token| token.decode()))
    else {
        return;
    };
    for require_service_account in [true, false] {
        let Some(Ok(subject)) = verdict(data, &claims, &audience, require_service_account) else { continue };
        let answer: serde_json::Value = serde_json::from_slice(data).unwrap_or_default();
        let status = &answer["status"];
        assert_eq!(status["authenticated"], true);
        assert!(status["error"].as_str().is_none_or(str::is_empty));
        assert!(status["audiences"].as_array().is_some_and(|all| all.contains(&"jwtlet".into())));
        assert_eq!(status["user"]["username"], subject.identity.as_str());
        if require_service_account {
            assert_eq!(subject.identity.as_str(), ACCOUNT);
            let groups = status["user"]["groups"].as_array();
            assert!(groups.is_some_and(|all| all.contains(&"system:serviceaccounts:edc-v".into())));
        }
    }
}
