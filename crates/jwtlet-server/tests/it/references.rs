//! The pages of the documentation that are written from the code.

use std::{borrow::Cow, fmt::Write, fs, path::Path};

use jwtlet_core::audit::{Action, Outcome};
use jwtlet_server::config;

const AUDIT: &str = include_str!("../../../jwtlet-core/src/audit/mod.rs");

fn is_current(page: &str, expected: &str) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs").join(page);
    if std::env::var_os("JWTLET_UPDATE_DOCS").is_some() {
        fs::write(&file, expected).unwrap();
    }
    let now = fs::read_to_string(&file).unwrap_or_default();
    assert!(now == expected, "docs/{page} is out of date: run this test with JWTLET_UPDATE_DOCS=1");
}

/// What is being written of the example: the page so far, the table, and the comment that waits for its key.
#[derive(Default)]
struct Reference {
    page: String,
    table: String,
    comment: String,
    keys: Vec<String>,
}

impl Reference {
    fn read(&mut self, line: &str) {
        let comment = line.strip_prefix('#');
        let content = comment.map_or(line, |text| text.strip_prefix(' ').unwrap_or(text));
        if let Some(table) = content.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            table.clone_into(&mut self.table);
            let comment = std::mem::take(&mut self.comment);
            write!(self.page, "## {table}\n\n{}", prose(&comment)).unwrap();
        } else if let Some(name) = key(content) {
            self.key(name, content);
        } else if comment.is_some() {
            self.comment.push_str(content);
            self.comment.push('\n');
        } else if line.is_empty() {
            self.page.push_str(&prose(&std::mem::take(&mut self.comment)));
        } else {
            self.page.extend(["```toml\n", line, "\n```\n\n"]);
        }
    }

    fn key(&mut self, name: &str, line: &str) {
        let path = if self.table.is_empty() { name.to_owned() } else { format!("{}.{name}", self.table) };
        let variable = path.to_uppercase().replace('.', "__");
        let comment = std::mem::take(&mut self.comment);
        // Some comments begin with the key, where several stand together.
        let comment = comment.strip_prefix(&format!("{name}: ")).unwrap_or(&comment);
        write!(
            self.page,
            "### {path}\n\n{}```toml\n{line}\n```\n\nVariable: `JWTLET__{variable}`\n\n",
            prose(comment)
        )
        .unwrap();
        self.keys.push(path);
    }
}

fn key(content: &str) -> Option<&str> {
    let (name, _) = content.split_once(" = ")?;
    name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_').then_some(name)
}

/// Comment lines as Markdown: indented ones are a list of values, and empty ones separate paragraphs.
fn prose(comment: &str) -> String {
    let mut text = String::new();
    let mut in_list = false;
    for line in comment.lines() {
        match line.strip_prefix("  ").map(str::trim) {
            Some(item) => {
                let start = if in_list { "" } else { "\n" };
                let (name, meaning) = item.split_once("  ").unwrap_or((item, ""));
                writeln!(text, "{start}- `{name}` {}", meaning.trim()).unwrap();
            }
            None if line.is_empty() => text.push('\n'),
            None => writeln!(text, "{}{line}", if in_list { "\n" } else { "" }).unwrap(),
        }
        in_list = line.starts_with("  ");
    }
    let text = text.replace('<', "&lt;").replace('[', "\\[");
    let text: Vec<_> = text.split(' ').map(quoted_url).collect();
    let text = text.join(" ");
    if text.trim().is_empty() { String::new() } else { format!("{}\n\n", text.trim()) }
}

/// A URL in backquotes, so that nobody takes an example for a link.
fn quoted_url(word: &str) -> Cow<'_, str> {
    let url = word.trim_end_matches([';', ',', '.']);
    if url.contains("://") { format!("`{url}`{}", &word[url.len()..]).into() } else { word.into() }
}

#[test]
fn the_reference_of_the_configuration_is_that_of_the_example() {
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config.example.toml");
    let example = fs::read_to_string(example).unwrap();
    let mut reference = Reference {
        page: "<!-- Written by the test `the_reference_of_the_configuration_is_that_of_the_example`. -->\n\n\
         # Configuration\n\n"
            .to_owned(),
        ..Reference::default()
    };
    example.lines().for_each(|line| reference.read(line));
    for key in config::keys() {
        assert!(key == "service_accounts" || reference.keys.contains(&key), "{key}");
    }
    is_current("reference-configuration.md", &format!("{}\n", reference.page.trim_end()));
}

/// The documented lines of an item of the source: what the comment says, and the line that it is about.
fn documented(item: &str) -> Vec<(String, &'static str)> {
    let (_, rest) = AUDIT.split_once(item).unwrap();
    let mut found = Vec::new();
    let mut comment = String::new();
    for line in rest.lines().skip(1).take_while(|line| *line != "}").map(str::trim) {
        if let Some(text) = line.strip_prefix("/// ") {
            comment.push_str(if comment.is_empty() { "" } else { " " });
            comment.push_str(text);
        } else if !line.starts_with('#') {
            found.push((std::mem::take(&mut comment), line));
        }
    }
    found
}

#[test]
fn the_reference_of_the_audit_trail_has_every_action_and_member() {
    let mut page = String::from(
        "<!-- Written by the test `the_reference_of_the_audit_trail_has_every_action_and_member`. -->\n\n# Audit actions\n\n\
         When records are made, and how they are read and verified: [the audit trail](api.md#audit-trail).\n\n\
         ## Actions\n\n| action | meaning |\n| --- | --- |\n",
    );
    let actions = documented("pub enum Action {");
    assert_eq!(actions.len(), Action::ALL.len());
    for (action, (meaning, variant)) in Action::ALL.iter().zip(actions) {
        assert_eq!(format!("{action:?},"), variant);
        writeln!(page, "| `{}` | {meaning} |", action.name()).unwrap();
    }
    page.push_str("\n## Outcomes\n\n| outcome | meaning |\n| --- | --- |\n");
    for (outcome, (meaning, variant)) in
        [Outcome::Applied, Outcome::Refused].iter().zip(documented("pub enum Outcome {"))
    {
        assert_eq!(format!("{outcome:?},"), variant);
        writeln!(page, "| `{}` | {meaning} |", outcome.name()).unwrap();
    }
    page.push_str("\n## Members of a record\n\nThose that have no value are left out.\n\n| member | meaning |\n| --- | --- |\n");
    for (meaning, field) in documented("pub struct AuditRecord {") {
        let name = field.strip_prefix("pub ").and_then(|rest| rest.split_once(':')).unwrap().0;
        writeln!(page, "| `{}` | {meaning} |", camel_case(name)).unwrap();
    }
    is_current("reference-audit.md", &page);
}

fn camel_case(name: &str) -> String {
    let mut parts = name.split('_');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |name, part| name + &part[..1].to_uppercase() + &part[1..])
}
