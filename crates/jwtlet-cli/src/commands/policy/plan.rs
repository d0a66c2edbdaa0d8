//! A plan as people read it: what is created, what changes field by field, what is deleted.

use std::collections::{BTreeSet, HashMap};

use serde_json::{Map, Value};

use crate::{
    documents::Kind,
    output::{Output, Tone, cell_text},
    text::printable,
};

/// Whether the changes were made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tense {
    Would,
    Did,
}

/// Where the document of a record is.
type Places<'a> = HashMap<(Kind, Vec<&'a str>), String>;

/// Whether there is nothing to do.
pub(super) fn is_empty(plan: &Value) -> bool {
    plan["changes"].as_array().is_some_and(Vec::is_empty)
}

/// The whole plan.
pub(super) fn text(plan: &Value, places: &Places<'_>, tense: Tense, output: Output) -> String {
    let mut text = String::new();
    for change in plan["changes"].as_array().into_iter().flatten() {
        text.push_str(&one(change, places, output));
    }
    if !text.is_empty() {
        text.push('\n');
    }
    text + &summary(plan, tense, output)
}

/// How much it is.
pub(super) fn summary(plan: &Value, tense: Tense, output: Output) -> String {
    let count = |name: &str| plan["summary"][name].as_u64().unwrap_or_default();
    let [create, change, delete, unchanged] = ["create", "change", "delete", "unchanged"].map(count);
    if is_empty(plan) {
        let text = format!("nothing to do: {unchanged} records are as the documents say");
        return format!("{}\n", output.paint(Tone::Good, &text));
    }
    match tense {
        Tense::Would => format!(
            "plan: {create} to create, {change} to change, {delete} to delete; {unchanged} are as the documents say\n\
             digest of the plan: {}\n",
            cell_text(&plan["planDigest"])
        ),
        Tense::Did => {
            let done = format!("applied: {create} created, {change} changed, {delete} deleted");
            format!(
                "{}; {unchanged} were as the documents say\napply id: {}\n",
                output.paint(Tone::Good, &done),
                cell_text(&plan["applyId"])
            )
        }
    }
}

/// One change.
fn one(change: &Value, places: &Places<'_>, output: Output) -> String {
    let action = change["action"].as_str().unwrap_or_default();
    let (sign, tone) = match action {
        "create" => ('+', Tone::Good),
        "delete" => ('-', Tone::Bad),
        _ => ('~', Tone::Warning),
    };
    let kind = change["kind"].as_str().and_then(Kind::of_plan);
    let record = kind.map_or_else(|| cell_text(&change["key"]), |kind| kind.describe(&change["key"]));
    let place = kind.and_then(|kind| {
        let key: Option<Vec<&str>> = kind.key().iter().map(|name| change["key"][*name].as_str()).collect();
        places.get(&(kind, key?))
    });
    let place = place.map(|place| format!("  ({place})")).unwrap_or_default();
    let mut text = output.paint(tone, &format!("{sign} {action} {record}"));
    text.extend([&*place, "\n"]);
    for (name, field) in change["fields"].as_object().into_iter().flatten() {
        for (tone, line) in lines(name, field.get("before"), field.get("after")) {
            text.extend(["    ", &output.paint(tone, &line), "\n"]);
        }
    }
    text
}

/// What became of a member, line by line.
fn lines(name: &str, before: Option<&Value>, after: Option<&Value>) -> Vec<(Tone, String)> {
    let name = printable(name);
    match (before, after) {
        (Some(Value::Array(before)), Some(Value::Array(after))) => {
            let gone = before.iter().filter(|item| !after.contains(item)).map(|item| (Tone::Bad, '-', item));
            let new = after.iter().filter(|item| !before.contains(item)).map(|item| (Tone::Good, '+', item));
            let line = |(tone, sign, item): (Tone, char, &Value)| {
                (tone, format!("{sign} {name}: {}", cell_text(item)))
            };
            gone.chain(new).map(line).collect()
        }
        (Some(Value::Object(before)), Some(Value::Object(after))) => members(&name, before, after),
        (Some(before), Some(after)) => vec![(Tone::Plain, format!("~ {name}: {before} -> {after}"))]
            .into_iter()
            .map(|(tone, line)| (tone, printable(&line)))
            .collect(),
        (Some(value), None) => whole(Tone::Bad, '-', &name, value),
        (None, Some(value)) => whole(Tone::Good, '+', &name, value),
        (None, None) => Vec::new(),
    }
}

/// A member that is there only before or only after. Empty ones say nothing.
fn whole(tone: Tone, sign: char, name: &str, value: &Value) -> Vec<(Tone, String)> {
    let text = match value {
        Value::Array(items) if items.is_empty() => return Vec::new(),
        Value::Object(_) if name == "claims" => printable(&value.to_string()),
        value => cell_text(value),
    };
    vec![(tone, format!("{sign} {name}: {text}"))]
}

/// An object, member by member.
fn members(name: &str, before: &Map<String, Value>, after: &Map<String, Value>) -> Vec<(Tone, String)> {
    let names: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let differ = names.into_iter().filter(|member| before.get(*member) != after.get(*member));
    let line = |member: &String| {
        let name = format!("{name}.{}", printable(member));
        let shown = |value: &Value| printable(&value.to_string());
        match (before.get(member), after.get(member)) {
            (Some(old), Some(new)) => (Tone::Plain, format!("~ {name}: {} -> {}", shown(old), shown(new))),
            (Some(old), None) => (Tone::Bad, format!("- {name}: {}", shown(old))),
            (_, new) => (Tone::Good, format!("+ {name}: {}", new.map(shown).unwrap_or_default())),
        }
    };
    differ.map(line).collect()
}
