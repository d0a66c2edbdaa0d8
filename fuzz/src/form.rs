use std::collections::HashSet;

use jwtlet_server::fuzzing::{exchange_request, parameters};

/// The body of a request to the token endpoint.
///
/// What is accepted reads as common decoders read it, and written again it is read as the same. A refusal uses only the
/// characters of RFC 6749 §5.2 and repeats no token.
///
/// # Panics
/// Where that does not hold.
pub fn form(data: &[u8]) {
    if let Ok(text) = std::str::from_utf8(data)
        && let Some(pairs) = parameters(text)
    {
        let lenient: Vec<_> = form_urlencoded::parse(data)
            .map(|(name, value)| (name.into_owned(), value.into_owned()))
            .filter(|(_, value)| !value.is_empty())
            .collect();
        assert_eq!(pairs, lenient);
        let written = form_urlencoded::Serializer::new(String::new()).extend_pairs(&pairs).finish();
        assert_eq!(parameters(&written), Some(pairs));
    }
    match exchange_request(data) {
        Ok(request) => {
            assert_eq!(request.scopes.iter().collect::<HashSet<_>>().len(), request.scopes.len());
            assert_eq!(request.audiences.iter().collect::<HashSet<_>>().len(), request.audiences.len());
        }
        Err(description) => {
            let allowed =
                |c: char| matches!(c, '\u{20}'..='\u{21}' | '\u{23}'..='\u{5b}' | '\u{5d}'..='\u{7e}');
            assert!(description.chars().all(allowed), "{description:?}");
            assert!(description.split(' ').all(|word| word.len() <= 128), "{description:?}");
        }
    }
}
