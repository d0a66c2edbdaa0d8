//! Texts of others, made fit for a terminal and a log.
//!
//! Names, descriptions and error messages come from a server, a file or a token that somebody else wrote. Control
//! characters in them could rewrite what the terminal shows, and somebody will put a token where a name belongs.

use std::fmt::Write;

use serde_json::Value;

/// The shortest text in the shape of a JWT that is taken for one: no name in use is both that long and in that shape.
const SHORTEST_TOKEN: usize = 60;

/// The text with control characters written as escapes and without tokens.
pub(crate) fn printable(text: &str) -> String {
    let mut result = String::with_capacity(text.len());
    for c in without_tokens(text).chars() {
        match c {
            '\n' => result.push_str("\\n"),
            '\t' => result.push_str("\\t"),
            c if is_control(c) => {
                // Writing to a String cannot fail.
                let _ = write!(result, "\\u{{{:x}}}", u32::from(c));
            }
            c => result.push(c),
        }
    }
    result
}

/// A JSON value on lines of its own, set in by two.
pub(crate) fn indented(value: &Value) -> String {
    let text = format!("{value:#}");
    let lines: Vec<String> = text.lines().map(|line| format!("  {}", printable(line))).collect();
    lines.join("\n") + "\n"
}

/// The text with everything that looks like a JWT replaced.
pub(crate) fn without_tokens(text: &str) -> String {
    let is_token_character = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let mut result = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find(is_token_character) {
        let word = &rest[start..];
        let end = word.find(|c| !is_token_character(c)).unwrap_or(word.len());
        result.push_str(&rest[..start]);
        match token_start(&word[..end]) {
            Some(token) => result.extend([&word[..token], "(token)"]),
            None => result.push_str(&word[..end]),
        }
        rest = &word[end..];
    }
    result + rest
}

/// Where a JWT begins in a word of its characters. Something may be glued to it on both sides: nothing of the word from
/// here on is worth showing.
fn token_start(word: &str) -> Option<usize> {
    let is_token = |rest: &str| rest.len() >= SHORTEST_TOKEN && rest.matches('.').count() >= 2;
    word.match_indices("eyJ").map(|(start, _)| start).find(|start| is_token(&word[*start..]))
}

/// Also the invisible characters that change how the text around them is shown.
fn is_control(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_become_escapes() {
        assert_eq!(printable("a\u{1b}[2Jb\nc\u{202e}d\u{9b}é"), "a\\u{1b}[2Jb\\nc\\u{202e}d\\u{9b}é");
    }

    #[test]
    fn tokens_are_replaced_and_names_are_not() {
        let token = format!("eyJ{}.{}.{}", "a".repeat(30), "b".repeat(30), "c".repeat(30));
        assert_eq!(printable(&format!("no file '{token}': x")), "no file '(token)': x");
        for (glued, shown) in [
            (format!("{token}."), "(token)"),
            (format!("x.{token}"), "x.(token)"),
            (format!("my-{token}"), "my-(token)"),
            (format!("eyJ.{token}.{token}"), "(token)"),
            (format!("Bearer_{token}, /tmp/token_{token}"), "Bearer_(token), /tmp/token_(token)"),
        ] {
            assert_eq!(printable(&glued), shown);
        }
        for name in ["system:serviceaccount:ns:name", "eyJ.a.b", "a.b.c", "keyJar.of.a-name-that-is-long", ""]
        {
            assert_eq!(printable(name), name);
        }
    }
}
