//! Single values of a configuration: types, ranges, and variables in their place.

use std::ffi::OsString;

use jwtlet_server::{Config, config::LogFormat};

use crate::config::{GOOD, load, problems, with};

#[test]
fn a_value_of_a_wrong_type_is_refused() {
    let lines = [
        "issuer = 1",
        "token_exchange_port = 80.5",
        "token_exchange_port = true",
        "management_port = 99999999999999999999",
        "bind = 2026-01-01",
        "log_format = [\"json\"]",
        "k8s = 1",
        "k8s|require_service_account = 1",
        "k8s|request_timeout = true",
        "token|audience = [\"a\"]",
        "token|audience = { name = \"a\" }",
        "token|space_delimited_claims = [1]",
        "vault|token_file = 5",
        "service_accounts|\"system:serviceaccount:a:b\" = \"management:write\"",
        "service_accounts|system.serviceaccount = [\"management:write\"]",
    ];
    let shown: String = lines
        .iter()
        .map(|line| match *line {
            "k8s = 1" => problems("k8s = 1", &[]).lines().filter(|line| line.starts_with("k8s (")).collect(),
            line => problems(&with(line), &[]),
        })
        .collect();
    insta::assert_snapshot!(shown, @r#"
    issuer = 1 (jwtlet.toml:1): must be a text in quotes
    token_exchange_port = (a fraction) (jwtlet.toml:1): must be a whole number from 0 to 65535
    token_exchange_port = true (jwtlet.toml:1): must be a whole number from 0 to 65535
    management_port = (a number out of range) (jwtlet.toml:1): must be a whole number from 0 to 65535
    bind = (a date) (jwtlet.toml:1): must be a text in quotes
    log_format = ["json"] (jwtlet.toml:1): must be a text in quotes
    k8s (jwtlet.toml:1): must be a tablek8s.require_service_account = 1 (jwtlet.toml:3): must be true or false
    k8s.request_timeout = true (jwtlet.toml:3): must be a time with its unit, such as "5s" or "1m 30s", from 1s to 300s
    token.audience = ["a"] (jwtlet.toml:6): must be a text in quotes
    token.audience (jwtlet.toml:6): must be a value, not a table
    token.space_delimited_claims = [1] (jwtlet.toml:6): must be a list of texts
    vault.token_file = 5 (jwtlet.toml:9): must be a text in quotes
    service_accounts.system:serviceaccount:a:b = "management:write" (jwtlet.toml:12): must be a list of texts
    service_accounts.system (jwtlet.toml:12): must be a list of texts (put a name with dots in quotes)
    "#);
}

#[test]
fn numbers_and_times_keep_their_ranges() {
    for (path, good, bad) in [
        ("token_exchange_port", "0 1 65535", "-1 65536"),
        ("management_port", "0 1 65535", "-1 65536"),
        ("token|token_ttl_secs", "1 86400", "0 86401 -5"),
        ("k8s|connect_timeout", "\"1s\" \"5m\"", "\"999ms\" \"301s\" \"-5s\" \"5\" \"\""),
        ("k8s|request_timeout", "\"1s\" \"300s\"", "\"0s\" \"301s\""),
        ("vault|connect_timeout", "\"1s\" \"300s\"", "\"0s\" \"1h\""),
        ("vault|request_timeout", "\"1s\" \"300s\"", "\"0s\" \"1h\""),
        ("vault|publish_before_sign", "\"5m\" \"24h\"", "\"299s\" \"86401s\""),
    ] {
        for value in good.split(' ') {
            assert!(load(&with(&format!("{path} = {value}")), &[]).is_ok(), "{path} = {value}");
        }
        for value in bad.split(' ') {
            let message = load(&with(&format!("{path} = {value}")), &[]).unwrap_err();
            assert!(message.starts_with("the configuration has 1 problem:"), "{message}");
        }
    }
}

#[test]
fn the_two_ports_differ_unless_both_are_free_choices() {
    for (exchange, management, fits) in [(1, 2, true), (0, 0, true), (9, 9, false), (8081, 8081, false)] {
        let text = with(&format!("token_exchange_port = {exchange}\nmanagement_port = {management}"));
        assert_eq!(load(&text, &[]).is_ok(), fits, "{exchange} {management}");
    }
    insta::assert_snapshot!(problems(&with("token_exchange_port = 8081"), &[]), @"management_port: must differ from token_exchange_port, which is 8081 too");
}

#[test]
fn variables_override_the_file_with_values_of_any_type() {
    let text = with("token|token_ttl_secs = 60");
    let config = load(
        &text,
        &[
            ("JWTLET__TOKEN__TOKEN_TTL_SECS", "120"),
            ("JWTLET__K8S__REQUIRE_SERVICE_ACCOUNT", "false"),
            ("JWTLET__BIND", "::1"),
            ("JWTLET__VAULT__REQUEST_TIMEOUT", "1m 30s"),
            ("JWTLET__TOKEN__AUDIENCE", "8080"),
            ("JWTLET__LOG_FORMAT", "json"),
            ("JWTLET_CONFIG_FILE", "/elsewhere"),
            ("PATH", "/bin"),
        ],
    );
    let config = config.unwrap();
    assert_eq!((config.token.ttl_secs, config.kubernetes.require_service_account), (120, false));
    assert_eq!((config.bind.to_string().as_str(), config.token.audience.as_str()), ("::1", "8080"));
    assert_eq!((config.vault.request_timeout.as_secs(), config.log_format), (90, LogFormat::Json));
}

#[test]
fn a_list_in_a_variable_is_an_array_or_words_with_commas() {
    for (value, names) in [
        (r#"["scope", "roles"]"#, ["scope", "roles"]),
        (" [ 'scope','roles' ] ", ["scope", "roles"]),
        ("scope,roles", ["scope", "roles"]),
        ("scope , 7,", ["scope", "7"]),
    ] {
        let config = load(GOOD, &[("JWTLET__TOKEN__SPACE_DELIMITED_CLAIMS", value)]).unwrap();
        assert!(names.iter().all(|name| config.token.claim_rules.is_space_delimited(name)), "{value}");
    }
    for value in ["[\"scope\"", "[1]", "[\"a\"] x"] {
        let problems = problems(GOOD, &[("JWTLET__TOKEN__SPACE_DELIMITED_CLAIMS", value)]);
        assert!(
            problems.contains("(JWTLET__TOKEN__SPACE_DELIMITED_CLAIMS): must be a list of texts"),
            "{problems}"
        );
    }
}

#[test]
fn a_secret_that_looks_like_a_number_stays_a_text() {
    use secrecy::ExposeSecret;
    let text = GOOD.replace("token_file = \"/vault/token\"", "");
    for token in ["0123", "1e5", "true", "[x]"] {
        let config = load(&text, &[("JWTLET__VAULT__TOKEN", token)]).unwrap();
        match config.vault.auth {
            jwtlet_vault::VaultAuth::Token(secret) => assert_eq!(secret.expose_secret(), token),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_variable_that_is_not_utf_8_is_refused() {
    use std::os::unix::ffi::OsStringExt;
    let variable = ("JWTLET__VAULT__KEY_NAME".into(), OsString::from_vec(b"key\xff".to_vec()));
    let message = Config::load(None, &[variable]).unwrap_err().to_string();
    assert!(message.contains("vault.key_name"), "{message}");
}
