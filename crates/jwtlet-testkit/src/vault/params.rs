//! Request parameters, converted as loosely as Vault converts them.

use serde_json::{Map, Value};

use super::answer::Refusal;

/// The members of a request body.
#[derive(Debug, Default)]
pub(super) struct Params(Map<String, Value>);

impl Params {
    /// Reads a body with at most so many strings; an empty one has no members.
    pub(super) fn parse(body: &[u8], max_strings: usize) -> Result<Self, Refusal> {
        if body.is_empty() {
            return Ok(Self::default());
        }
        let value: Value = serde_json::from_slice(body)
            .map_err(|error| Refusal::bad_request(format!("failed to parse JSON input: {error}")))?;
        if strings(&value) > max_strings {
            return Err(Refusal::bad_request(
                "refused JSON input due to high complexity: exceeded maximum number of strings",
            ));
        }
        match value {
            Value::Object(members) => Ok(Self(members)),
            Value::Null => Ok(Self::default()),
            _ => Err(Refusal::bad_request("failed to parse JSON input: not an object")),
        }
    }

    pub(super) fn raw(&self, name: &str) -> Option<&Value> {
        self.0.get(name).filter(|value| !value.is_null())
    }

    /// A text; numbers and booleans become text.
    pub(super) fn text(&self, name: &str) -> Result<Option<String>, Refusal> {
        match self.raw(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(value @ (Value::Number(_) | Value::Bool(_))) => Ok(Some(value.to_string())),
            Some(value) => Err(unconvertible(name, value)),
        }
    }

    /// An integer; text with digits is one, and the empty text is zero.
    pub(super) fn integer(&self, name: &str) -> Result<Option<i64>, Refusal> {
        let integer = match self.raw(name) {
            None => return Ok(None),
            Some(Value::Number(number)) => number.as_i64(),
            Some(Value::String(text)) if text.is_empty() => Some(0),
            Some(Value::String(text)) => text.parse().ok(),
            Some(Value::Bool(flag)) => Some(i64::from(*flag)),
            Some(_) => None,
        };
        integer.map(Some).ok_or_else(|| unconvertible(name, self.raw(name).unwrap_or(&Value::Null)))
    }

    /// A switch; `"true"` and `1` are on.
    pub(super) fn flag(&self, name: &str) -> Result<Option<bool>, Refusal> {
        match self.raw(name) {
            None => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(*flag)),
            Some(Value::Number(number)) => Ok(Some(number.as_i64() != Some(0))),
            Some(Value::String(text)) => match text.as_str() {
                "true" | "TRUE" | "True" | "t" | "T" | "1" => Ok(Some(true)),
                "false" | "FALSE" | "False" | "f" | "F" | "0" | "" => Ok(Some(false)),
                _ => Err(unconvertible(name, &Value::String(text.clone()))),
            },
            Some(value) => Err(unconvertible(name, value)),
        }
    }

    /// A duration in seconds: a number, or text like `90`, `1h` or `15m30s`.
    pub(super) fn seconds(&self, name: &str) -> Result<Option<i64>, Refusal> {
        match self.raw(name) {
            Some(value @ Value::String(text)) => {
                go_duration(text).map(Some).ok_or_else(|| unconvertible(name, value))
            }
            _ => self.integer(name),
        }
    }

    /// The warning about members that the route does not know.
    pub(super) fn warnings(&self, known: &[&str]) -> Vec<String> {
        let mut unknown: Vec<_> =
            self.0.keys().map(String::as_str).filter(|name| !known.contains(name)).collect();
        unknown.sort_unstable();
        if unknown.is_empty() {
            return Vec::new();
        }
        vec![format!("Endpoint ignored these unrecognized parameters: [{}]", unknown.join(" "))]
    }
}

fn unconvertible(name: &str, value: &Value) -> Refusal {
    Refusal::bad_request(format!("error converting input for field {name:?}: cannot use {value}"))
}

fn strings(value: &Value) -> usize {
    match value {
        Value::String(_) => 1,
        Value::Array(items) => items.iter().map(strings).sum(),
        Value::Object(members) => members.values().map(|member| 1 + strings(member)).sum(),
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
    }
}

fn go_duration(text: &str) -> Option<i64> {
    if text.is_empty() {
        return Some(0);
    }
    if let Ok(seconds) = text.parse() {
        return Some(seconds);
    }
    let mut total = 0_i64;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let amount: i64 = rest.get(..digits)?.parse().ok()?;
        let unit = match rest.as_bytes().get(digits)? {
            b's' => 1,
            b'm' => 60,
            b'h' => 3600,
            b'd' => 86400,
            _ => return None,
        };
        total = total.checked_add(amount.checked_mul(unit)?)?;
        rest = rest.get(digits + 1..)?;
    }
    Some(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_go_writes_them() {
        assert_eq!(go_duration("90"), Some(90));
        assert_eq!(go_duration("1h"), Some(3600));
        assert_eq!(go_duration("15m30s"), Some(930));
        assert_eq!(go_duration("soon"), None);
        assert_eq!(go_duration("5"), Some(5));
    }

    #[test]
    fn strings_are_counted_with_the_names_of_members() {
        assert_eq!(strings(&serde_json::json!({"a": "b", "c": [{"d": 1}, "e"]})), 5);
    }
}
