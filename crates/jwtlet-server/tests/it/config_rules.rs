//! Rules between keys, secrets in a configuration, its file, and the example that describes it.

use std::{collections::BTreeSet, fs, path::Path, process::Command};

use jwtlet_server::{Config, config};

use crate::config::{GOOD, load, problems, with};

const EXAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../config.example.toml");

/// A configuration without any warning.
fn quiet() -> String {
    format!("issuer = \"https://a\"\n{GOOD}[management]\nclient_audience = \"jwtlet-management\"\n")
}

fn warnings(text: &str) -> Vec<String> {
    load(text, &[]).unwrap().warnings
}

#[test]
fn the_token_of_jwtlet_travels_to_kubernetes_over_https_or_not_at_all() {
    for url in [
        "http://kubernetes.default.svc",
        "http://10.0.0.1:6443",
        "http://localhost.evil",
        "http://127.0.0.1.nip.io",
    ] {
        let problems = problems(&with(&format!("k8s|api_server_url = \"{url}\"")), &[]);
        assert!(
            problems.contains("must be https, except on loopback: jwtlet's own token travels there"),
            "{problems}"
        );
    }
    for url in ["http://127.0.0.1:8001", "http://localhost:8001", "http://[::1]:8001", "https://10.0.0.1"] {
        assert!(load(&with(&format!("k8s|api_server_url = \"{url}\"")), &[]).is_ok(), "{url}");
    }
}

#[test]
fn plain_http_to_another_host_warns_for_vault() {
    for (url, warned) in [
        ("http://vault:8200", true),
        ("http://127.0.0.1:8200", false),
        ("http://[::1]:8200", false),
        ("https://vault:8200", false),
    ] {
        let warnings = warnings(&quiet().replace("https://vault:8200", url));
        assert_eq!(warnings.len(), usize::from(warned), "{url}: {warnings:?}");
        assert!(warnings.iter().all(|warning| warning.contains("in clear text")), "{warnings:?}");
    }
}

#[test]
fn a_url_is_http_or_https_and_nothing_but_a_base() {
    for url in [
        "vault:8200",
        "ftp://vault",
        "https://",
        "https://u:p@vault",
        "https://vault?a=b",
        "https://vault#a",
        "https://vault\\n",
        " https://vault",
        "https://va\\tult",
        "https:vault",
        "https:\\\\vault",
        "/x",
    ] {
        for key in ["vault|url", "k8s|api_server_url"] {
            assert_eq!(problems(&with(&format!("{key} = \"{url}\"")), &[]).lines().count(), 1, "{key} {url}");
        }
        assert_eq!(problems(&with(&format!("issuer = \"{url}\"")), &[]).lines().count(), 1, "{url}");
    }
}

#[test]
fn a_variable_that_makes_a_value_of_a_table_or_the_reverse_is_a_problem() {
    for (name, value) in [("JWTLET__VAULT", "x"), ("JWTLET__VAULT__URL__X", "x")] {
        let problems = problems(GOOD, &[(name, value)]);
        assert!(problems.contains(&format!("({name}): must be either a value or a table")), "{problems}");
    }
    let both = [("JWTLET__STORAGE_BACKEND", "x"), ("JWTLET__STORAGE_BACKEND__TYPE", "memory")];
    assert!(problems(GOOD, &both).contains("must be either a value or a table"));
}

#[test]
fn a_variable_that_is_not_utf_8_is_a_problem() {
    use std::os::unix::ffi::OsStringExt;
    let value = std::ffi::OsString::from_vec(vec![0xff, 0xfe]);
    let error = Config::load(None, &[("JWTLET__TOKEN__AUDIENCE".into(), value)]).unwrap_err().to_string();
    assert!(error.contains("token.audience (JWTLET__TOKEN__AUDIENCE): must be UTF-8"), "{error}");
}

#[test]
fn the_line_of_a_problem_is_right_in_a_long_file() {
    let text = format!("{}\nbind = 7\n", "# a comment\n".repeat(20_000));
    assert!(problems(&text, &[]).contains(":20002): must be a text in quotes"), "{}", problems(&text, &[]));
}

#[test]
fn defaults_that_are_not_for_production_warn() {
    insta::assert_snapshot!(warnings(GOOD).join("\n"), @"
    issuer is not set: tokens name http://localhost, which no verifier on another host can use
    management.client_audience is not set: a token for an exchange is good for the management API too
    ");
    assert!(warnings(&quiet()).is_empty());
}

#[test]
fn an_audience_that_the_kubernetes_api_takes_too_warns() {
    for own in ["https://kubernetes.default.svc", "https://kubernetes.default.svc.cluster.local"] {
        for ours in ["\"jwtlet-exchange\"", "\"jwtlet-management\""] {
            let warnings = warnings(&quiet().replace(ours, &format!("\"{own}\"")));
            assert_eq!(warnings.len(), 1, "{warnings:?}");
            assert!(warnings[0].contains("good against the Kubernetes API too"), "{warnings:?}");
        }
    }
}

#[test]
fn vault_is_told_exactly_one_way_to_authenticate() {
    let ways = |lines: &str| GOOD.replace("token_file = \"/vault/token\"", lines);
    for lines in [
        "token = \"s.x\"",
        "kubernetes_role = \"r\"",
        "kubernetes_role = \"r\"\nkubernetes_mount = \"k8s/a\"",
    ] {
        assert!(load(&ways(lines), &[]).is_ok(), "{lines}");
    }
    let wrong = [
        "",
        "token_file = \"/a\"\ntoken = \"s.x\"",
        "token_file = \"/a\"\ntoken = \"s.x\"\nkubernetes_role = \"r\"",
        "token_file = \"/a\"\nkubernetes_mount = \"kubernetes\"",
    ];
    insta::assert_snapshot!(wrong.map(|lines| problems(&ways(lines), &[])).concat(), @"
    vault: exactly one of token_file, token and kubernetes_role must be set, and none is
    vault: exactly one of token_file, token and kubernetes_role must be set, not vault.token_file (jwtlet.toml:10) and vault.token (jwtlet.toml:11)
    vault: exactly one of token_file, token and kubernetes_role must be set, not vault.token_file (jwtlet.toml:10) and vault.token (jwtlet.toml:11) and vault.kubernetes_role (jwtlet.toml:12)
    vault.kubernetes_mount (jwtlet.toml:11): has a meaning only together with kubernetes_role
    ");
}

#[test]
fn roles_and_their_holders_are_checked() {
    let holders = [
        "\"system:serviceaccount:ops:admin\" = [\"management:write\", \"management:read\"]",
        "\"system:serviceaccount:ops:*\" = [\"management:write\"]",
        "\"system:serviceaccount:Ops:admin\" = [\"management:write\"]",
        "\"alice\" = [\"management:write\"]",
        "\"system:serviceaccount:ops:admin\" = [1]",
    ];
    let lines = holders.map(|line| problems(&with(&format!("service_accounts|{line}")), &[]));
    insta::assert_snapshot!(lines.concat(), @r#"
    service_accounts.system:serviceaccount:ops:admin = ["management:write", "management:read"] (jwtlet.toml:12): each role must be one of jwtlet:management:read, jwtlet:management:mappings:write, jwtlet:management:scope:write, management:write
    service_accounts.system:serviceaccount:ops:* = ["management:write"] (jwtlet.toml:12): the name must have the form system:serviceaccount:<namespace>:<name>
    service_accounts.system:serviceaccount:Ops:admin = ["management:write"] (jwtlet.toml:12): the name must have the form system:serviceaccount:<namespace>:<name>
    service_accounts.alice = ["management:write"] (jwtlet.toml:12): the name must have the form system:serviceaccount:<namespace>:<name>
    service_accounts.system:serviceaccount:ops:admin = [1] (jwtlet.toml:12): must be a list of texts
    "#);
    let alice = with("service_accounts|alice = [\"management:write\"]");
    assert!(load(&alice, &[("JWTLET__K8S__REQUIRE_SERVICE_ACCOUNT", "false")]).is_ok());
}

#[test]
fn a_secret_is_in_no_message() {
    for line in [
        "vault|token = [\"hunter2\"]",
        "vault|token = \"hunter2 and more\"",
        "vault|token = { value = \"hunter2\" }",
        "vault|url = \"https://jwtlet:hunter2@vault\"",
        "vault|url = [\"https://jwtlet:hunter2@vault\"]",
        "k8s|api_server_url = \"https://jwtlet:hunter2@kubernetes\"",
        "issuer = \"https://jwtlet:hunter2@kubernetes\"",
        "storage_backend|url = \"postgresql://jwtlet:hunter2@host/jwtlet\"",
        "storage_backend|type = \"postgresql://jwtlet:hunter2@host/jwtlet\"",
        "password = \"hunter2\"",
    ] {
        let message = load(&with(line), &[]).unwrap_err();
        assert!(!message.contains("hunter2"), "{message}");
    }
    let variables = [("JWTLET__VAULT__TOKEN", "hunter2 x"), ("JWTLET__VAULT__TOKEN__X", "hunter2")];
    assert!(!load(GOOD, &variables).unwrap_err().contains("hunter2"));
}

#[test]
fn a_secret_is_not_in_the_debug_output_of_a_configuration() {
    let text = GOOD.replace("token_file = \"/vault/token\"", "token = \"hunter2\"");
    let config = load(&text, &[]).unwrap();
    assert!(!format!("{config:?} {config:#?}").contains("hunter2"));
}

#[test]
fn a_syntax_error_names_its_line_and_quotes_nothing() {
    for text in [
        "[vault]\ntoken = \"hunter2\n",
        "[vault]\ntoken = hunter2\n",
        "[vault]\nhunter2\n",
        "a = 1\na = \"hunter2\"\n",
    ] {
        let problems = problems(text, &[]);
        assert!(problems.lines().all(|line| line.starts_with("syntax (jwtlet.toml:")), "{problems}");
        assert!(problems.contains("jwtlet.toml:2)") && !problems.contains("hunter2"), "{problems}");
    }
}

#[test]
fn a_file_that_cannot_be_read_is_the_one_problem() {
    let missing = Config::load(Some(Path::new("/nonexistent/jwtlet.toml")), &[]).unwrap_err();
    insta::assert_snapshot!(missing, @"
    the configuration has 1 problem:
      /nonexistent/jwtlet.toml: cannot be read: No such file or directory (os error 2)
    ");
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("latin1"), b"issuer = \"\xe4\"").unwrap();
    for path in [directory.path().to_owned(), directory.path().join("latin1")] {
        assert_eq!(Config::load(Some(&path), &[]).unwrap_err().problems.len(), 1);
    }
}

/// What `check-config` says of this text: exit status, standard output, standard error.
fn check_config(text: &str, variable: (&str, &str)) -> String {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("jwtlet.toml");
    fs::write(&file, text).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_jwtlet-server"));
    let command = command.arg("check-config").arg(&file).env_clear().env(variable.0, variable.1);
    let output = command.output().unwrap();
    let [out, err] = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap());
    let directory = format!("{}/", directory.path().display());
    format!("{}\nout: {out}err: {err}", output.status.code().unwrap()).replace(&directory, "")
}

#[test]
fn check_config_says_that_a_configuration_is_good_and_what_to_look_at() {
    insta::assert_snapshot!(check_config(GOOD, ("JWTLET__BIND", "::")), @"
    0
    out: jwtlet.toml: the configuration is good
    err: warning: issuer is not set: tokens name http://localhost, which no verifier on another host can use
    warning: management.client_audience is not set: a token for an exchange is good for the management API too
    ");
    assert_eq!(check_config(&quiet(), ("A", "")), "0\nout: jwtlet.toml: the configuration is good\nerr: ");
}

#[test]
fn check_config_lists_every_problem_and_fails() {
    insta::assert_snapshot!(check_config(&with("bnd = 1"), ("JWTLET__BIND", "x")), @r#"
    1
    out: err: jwtlet.toml: the configuration has 2 problems:
      bind = "x" (JWTLET__BIND): must be an IPv4 or IPv6 address, such as 0.0.0.0 or ::
      bnd (jwtlet.toml:1): is not a key of this version; allowed here: issuer, token_exchange_port, management_port, bind, log_format, http, limits, tls, storage_backend, k8s, token, management, vault, service_accounts
    "#);
}

/// The keys that the example shows, set or in a comment.
fn keys_of_the_example(text: &str) -> BTreeSet<String> {
    let mut table = String::new();
    let mut keys = BTreeSet::new();
    for line in text.lines() {
        let line = line.strip_prefix("# ").unwrap_or(line);
        if let Some(name) = line.strip_prefix('[') {
            table = format!("{}.", name.trim_end_matches(']'));
            continue;
        }
        let Some((key, _)) = line.split_once(" = ") else { continue };
        if key.bytes().all(|b| b.is_ascii_lowercase() || b == b'_' || b.is_ascii_digit()) {
            keys.insert(format!("{table}{key}"));
        } else if table == "service_accounts." {
            keys.insert("service_accounts".to_owned());
        }
    }
    keys
}

#[test]
fn the_example_names_every_key_and_no_other() {
    let text = fs::read_to_string(EXAMPLE).unwrap();
    assert_eq!(keys_of_the_example(&text), config::keys().into_iter().collect());
}

#[test]
fn the_example_loads_and_shows_the_defaults() {
    let example = Config::load(Some(Path::new(EXAMPLE)), &[]).unwrap();
    assert_eq!(example.warnings, [""; 0]);
    let text = r#"
        issuer = "https://jwtlet.example.com"
        [k8s]
        api_server_url = "https://kubernetes.default.svc"
        cluster_issuer = "https://kubernetes.default.svc.cluster.local"
        [token]
        client_audience = "jwtlet-exchange"
        audience = "my-service"
        [management]
        client_audience = "jwtlet-management"
        [vault]
        url = "https://vault.example.com:8200"
        token_file = "/vault/secrets/.vault-token"
        [service_accounts]
        "system:serviceaccount:ops:admin" = ["management:write"]
        "system:serviceaccount:ops:auditor" = ["jwtlet:management:read"]
    "#;
    assert_eq!(format!("{example:#?}"), format!("{:#?}", load(text, &[]).unwrap()));
}

#[test]
fn what_the_example_shows_in_comments_is_accepted_too() {
    let text = fs::read_to_string(EXAMPLE).unwrap();
    let token_file = "\ntoken_file = \"/vault/secrets/.vault-token\"";
    for (key, instead) in [
        ("token", true),
        ("kubernetes_role", true),
        ("kubernetes_mount", false),
        ("namespace", false),
        ("ca_file", false),
    ] {
        let comment = format!("\n# {key} = ");
        assert_eq!(text.matches(&comment).count(), 1, "{key}");
        let mut text = text.replace(&comment, &format!("\n{key} = "));
        if instead {
            text = text.replace(token_file, "");
        }
        if key == "kubernetes_mount" {
            text = text.replace(token_file, "").replace("\n# kubernetes_role = ", "\nkubernetes_role = ");
        }
        load(&text, &[]).unwrap();
    }
}
