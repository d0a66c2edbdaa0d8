//! Help, completions, the manual page, and the reference in the documentation.

use std::{fs, path::Path};

use crate::world::jwtlet;

const BEGIN: &str =
    "<!-- reference: written by the test `the_documentation_has_the_help_of_every_command` -->\n";

/// The commands below this one, from its help.
async fn subcommands(path: &[String]) -> Vec<String> {
    let arguments: Vec<&str> = path.iter().map(String::as_str).chain(["--help"]).collect();
    let help = jwtlet(&arguments).run().await.out;
    let Some((_, commands)) = help.split_once("\nCommands:\n") else { return Vec::new() };
    let lines = commands.lines().take_while(|line| !line.is_empty());
    let names = lines.filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    names
        .filter_map(|line| line.split_whitespace().next())
        .filter(|name| *name != "help")
        .map(str::to_owned)
        .collect()
}

/// The help of all commands, without the options that all of them have.
async fn reference() -> String {
    let mut text = String::from(BEGIN);
    let mut waiting: Vec<Vec<String>> = vec![Vec::new()];
    while let Some(path) = waiting.pop() {
        let names = subcommands(&path).await;
        waiting.extend(names.into_iter().rev().map(|name| [&path[..], &[name]].concat()));
        let arguments: Vec<&str> = path.iter().map(String::as_str).chain(["--help"]).collect();
        let ran = jwtlet(&arguments).run().await;
        assert_eq!((ran.status, &*ran.err), (0, ""), "{path:?}");
        let help =
            if path.is_empty() { &*ran.out } else { ran.out.split("\nGlobal options:\n").next().unwrap() };
        let title = [&["jwtlet".to_owned()], &path[..]].concat().join(" ");
        let help: Vec<&str> = help.trim_end().lines().map(str::trim_end).collect();
        text.extend(["\n### ", &title, "\n\n```text\n", &help.join("\n"), "\n```\n"]);
    }
    text
}

#[tokio::test]
async fn the_documentation_has_the_help_of_every_command() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/cli.md");
    let document = fs::read_to_string(&file).unwrap();
    let (before, _) = document.split_once(BEGIN).unwrap();
    let expected = format!("{before}{}", reference().await);
    if std::env::var_os("JWTLET_UPDATE_DOCS").is_some() {
        fs::write(&file, &expected).unwrap();
    }
    let now = fs::read_to_string(&file).unwrap();
    assert!(now == expected, "docs/cli.md is out of date: run this test with JWTLET_UPDATE_DOCS=1");
}

#[tokio::test]
async fn completions_and_the_manual_page_know_every_command() {
    let mut waiting: Vec<Vec<String>> = vec![Vec::new()];
    let mut names = Vec::new();
    while let Some(path) = waiting.pop() {
        for name in subcommands(&path).await {
            names.push(name.clone());
            waiting.push([&path[..], &[name]].concat());
        }
    }
    assert!(names.len() > 15, "{names:?}");
    for arguments in
        [&["completions", "bash"][..], &["completions", "zsh"], &["completions", "fish"], &["man"]]
    {
        let ran = jwtlet(arguments).run().await;
        assert_eq!((ran.status, &*ran.err), (0, ""));
        for name in &names {
            assert!(ran.out.contains(name.as_str()), "{arguments:?} does not know {name}");
        }
    }
    let page = jwtlet(&["man"]).run().await.out;
    assert!(page.contains(".SH \"COMMAND mapping create\"") && page.contains("Exit status"), "{page}");
}

#[tokio::test]
async fn the_version_is_told() {
    let ran = jwtlet(&["--version"]).run().await;
    assert_eq!(ran.to_string(), format!("exit 0\njwtlet {}\n", env!("CARGO_PKG_VERSION")));
}
