//! What the documentation promises about itself: no page is left out, and the tests that it names exist.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// The files below a directory with this ending.
fn files(directory: &Path, ending: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path, ending));
        } else if path.extension().is_some_and(|extension| extension == ending) {
            found.push(path);
        }
    }
    found
}

fn page(name: &str) -> String {
    fs::read_to_string(repository().join("docs").join(name)).unwrap()
}

/// The words in backquotes.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

/// Whether a function of this name runs with the tests: it has the attribute of one, and none to ignore it.
fn runs(source: &str, test: &str) -> bool {
    source.match_indices(&format!("fn {test}(")).any(|(place, _)| {
        let line = source[..place].rfind('\n').map_or(0, |end| end + 1);
        let above = source[..line].lines().rev().map(str::trim);
        let attributes: Vec<_> = above
            .take_while(|line| line.starts_with("#[") || line.starts_with("//"))
            .filter(|line| line.starts_with("#["))
            .collect();
        let is_test = |line: &&str| {
            ["#[test]", "#[tokio::test]", "#[tokio::test("].iter().any(|one| line.starts_with(one))
        };
        attributes.iter().any(is_test) && !attributes.iter().any(|line| line.contains("ignore"))
    })
}

#[test]
fn a_test_is_a_function_with_its_attribute_that_is_not_ignored() {
    for attributes in [
        "#[test]\n",
        "    #[test]\n    ",
        "#[tokio::test]\nasync ",
        "#[tokio::test(start_paused = true)]\n// ignored: nothing\n#[expect(unused)]\nasync ",
    ] {
        assert!(runs(&format!("}}\n\n{attributes}fn it_works() {{"), "it_works"), "{attributes}");
    }
    for attributes in [
        "",
        "// #[test]\n",
        "#[expect(unused)]\n",
        "#[test]\n\n",
        "#[test]\nfn another() {}\n",
        "#[test]\n#[ignore = \"slow\"]\n",
        "#[cfg_attr(unix, ignore)]\n#[test]\n",
    ] {
        assert!(!runs(&format!("{attributes}fn it_works() {{"), "it_works"), "{attributes}");
    }
    assert!(!runs("#[test]\nfn it_works_well() {", "it_works"));
}

#[test]
fn every_page_is_in_the_summary() {
    let docs = repository().join("docs");
    let summary = page("SUMMARY.md");
    let listed: BTreeSet<_> =
        summary.split("](").skip(1).filter_map(|rest| rest.split(')').next()).map(str::to_owned).collect();
    let pages: BTreeSet<_> = files(&docs, "md")
        .iter()
        .map(|file| file.strip_prefix(&docs).unwrap().to_str().unwrap().to_owned())
        .filter(|name| name != "SUMMARY.md")
        .collect();
    assert_eq!(listed, pages);
}

#[test]
fn the_tests_that_the_threat_model_names_exist() {
    let sources: String = files(&repository().join("crates"), "rs")
        .iter()
        .map(|file| fs::read_to_string(file).unwrap())
        .collect();
    let page = page("threats.md");
    let rows = page.lines().filter(|line| line.starts_with("| ") && line.contains('`'));
    let mut named = 0;
    for row in rows {
        let tests = row.trim_end_matches(" |").rsplit(" | ").next().unwrap();
        assert!(tests.contains('`'), "{row}");
        for test in quoted(tests) {
            assert!(runs(&sources, test), "{test}");
            named += 1;
        }
    }
    assert!(named > 50);
}

#[test]
fn every_alert_has_its_part_of_the_runbook() {
    let rules = fs::read_to_string(repository().join("deploy/prometheus/alerts.yaml")).unwrap();
    let page = page("runbook.md");
    let value = |line: &str, name: &str| line.trim().strip_prefix(name).map(str::to_owned);
    let alerts: Vec<_> = rules.lines().filter_map(|line| value(line, "- alert: ")).collect();
    let links: Vec<_> = rules.lines().filter_map(|line| value(line, "runbook_url: ")).collect();
    assert!(!alerts.is_empty());
    assert_eq!(links, alerts.iter().map(|alert| format!("docs/runbook.md#{alert}")).collect::<Vec<_>>());
    for alert in &alerts {
        assert!(page.contains(&format!("<a id=\"{alert}\"></a>\n\n### {alert}\n")), "{alert}");
    }
    let parts = page.lines().filter(|line| line.starts_with("### ")).count();
    assert_eq!(parts, alerts.len(), "the runbook has parts for alerts that do not exist");
}
