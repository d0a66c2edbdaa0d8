//! What callers send, made fit to be repeated in messages and log lines.
//!
//! Somebody will put a token where a name belongs. No name in use is a word of more than a hundred characters, and every
//! token is one, so such words are cut; and nothing is repeated without end.

use std::borrow::Cow;

/// The longest word that is repeated whole, in bytes.
const LONGEST_WORD: usize = 100;
/// What is left of a longer one: not enough of a token to be of use.
const WORD_START: usize = 12;
/// The longest text, in bytes.
const LONGEST_TEXT: usize = 600;

/// The text with long words cut, and cut itself where it is too long.
pub(crate) fn fit(text: &str) -> Cow<'_, str> {
    let is_fit =
        text.len() <= LONGEST_TEXT && text.split(is_separator).all(|word| word.len() <= LONGEST_WORD);
    if is_fit {
        return Cow::Borrowed(text);
    }
    let mut fitted = String::new();
    for part in text.split_inclusive(is_separator) {
        if fitted.len() + part.len().min(LONGEST_WORD) > LONGEST_TEXT {
            fitted.push_str("(cut)");
            break;
        }
        if part.len() <= LONGEST_WORD + 4 {
            fitted.push_str(part);
        } else {
            fitted.extend(part.chars().take(WORD_START));
            fitted.push_str("(cut)");
            fitted.extend(part.chars().next_back().filter(|c| is_separator(*c)));
        }
    }
    Cow::Owned(fitted)
}

/// What stands between words: anything that is not in a token.
fn is_separator(c: char) -> bool {
    !(c.is_alphanumeric() || matches!(c, '-' | '_' | '.' | '+' | '=' | '~' | '%'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordinary_texts_are_repeated_as_they_are() {
        for text in ["", "not granted: management-api:assets:read", "system:serviceaccount:edc-v:cfm-agents"]
        {
            assert_eq!(fit(text), text);
        }
    }

    #[test]
    fn tokens_are_cut() {
        let token = format!("eyJhbGciOiJFZERTQSJ9.{}.{}", "a".repeat(400), "b".repeat(86));
        assert_eq!(fit(&token), "eyJhbGciOiJF(cut)");
        assert_eq!(fit(&format!("/x/{token}/y: no")), "/x/eyJhbGciOiJF(cut)/y: no");
    }

    #[test]
    fn no_text_is_longer_than_its_limit() {
        assert!(fit(&"ab ".repeat(10_000)).len() <= LONGEST_TEXT + 5);
        assert!(fit(&"ü".repeat(10_000)).len() <= LONGEST_TEXT);
        assert!(fit(&":".repeat(10_000)).len() <= LONGEST_TEXT + 5);
    }
}
