//! What a configuration may say, and the one message that tells everything that is wrong with it.

use std::{ffi::OsString, fs};

use jwtlet_server::Config;
use tempfile::TempDir;

pub(crate) const GOOD: &str = r#"
[k8s]
api_server_url = "https://kubernetes.default.svc"
cluster_issuer = "https://kubernetes.default.svc.cluster.local"
[token]
client_audience = "jwtlet-exchange"
audience = "my-service"
[vault]
url = "https://vault:8200"
token_file = "/vault/token"
"#;

/// Loads this text, with variables over it.
pub(crate) fn load(text: &str, variables: &[(&str, &str)]) -> Result<Config, String> {
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("jwtlet.toml");
    fs::write(&file, text).unwrap();
    let variables: Vec<(OsString, OsString)> =
        variables.iter().map(|(name, value)| (name.into(), value.into())).collect();
    Config::load(Some(&file), &variables)
        .map_err(|error| error.to_string().replace(&format!("{}/", directory.path().display()), ""))
}

/// The good configuration with this line at its top, or in its table, where one is named before a `|`.
pub(crate) fn with(line: &str) -> String {
    match line.split_once('|') {
        None => format!("{line}\n{GOOD}"),
        Some((table, line)) if GOOD.contains(&format!("[{table}]")) => {
            let key = line.split(' ').next().unwrap();
            let kept: Vec<&str> = GOOD.lines().filter(|old| !old.starts_with(&format!("{key} = "))).collect();
            kept.join("\n").replace(&format!("[{table}]"), &format!("[{table}]\n{line}"))
        }
        Some((table, line)) => format!("{GOOD}[{table}]\n{line}\n"),
    }
}

/// The problems, without the line that counts them.
#[track_caller]
pub(crate) fn problems(text: &str, variables: &[(&str, &str)]) -> String {
    let message = load(text, variables).unwrap_err();
    let lines: Vec<&str> = message.lines().skip(1).map(str::trim_start).collect();
    lines.join("\n") + "\n"
}

#[test]
fn one_message_lists_every_problem_with_path_value_origin_and_rule() {
    let text = r#"
issuer = "jwtlet.example.com"
token_exchange_port = 70000
management_port = "8081"
bind = "everywhere"
log_format = "xml"
colour = "secret-in-a-wrong-place"

[storage_backend]
type = "redis"

[k8s]
api_server_url = "http://kubernetes.default.svc"
require_service_account = "yes"
connect_timeout = 5
request_timeout = "1h"

[token]
client_audience = ""
participant_context_claim = "sub"
token_ttl_secs = 0
space_delimited_claims = "scope"

[vault]
url = "https://user:hunter2@vault:8200"
token = "two words"
token_file = "/vault/token"
key_name = "../keys"
transit_mount = "a//b"
publish_before_sign = "10s"

[service_accounts]
"system:serviceaccount:ops" = ["management:write"]
"system:serviceaccount:ops:admin" = ["root"]
"#;
    let variables = [("JWTLET__TOKEN__AUDIENCE", "a\u{7}b"), ("JWTLET__VAULT__REQUEST_TIMEOUT", "soon")];
    insta::assert_snapshot!(load(text, &variables).unwrap_err(), @r#"
    the configuration has 26 problems:
      issuer = "jwtlet.example.com" (jwtlet.toml:2): must be an http or https URL without user, query and fragment
      token_exchange_port = 70000 (jwtlet.toml:3): must be a whole number from 0 to 65535
      management_port = "8081" (jwtlet.toml:4): must be a whole number from 0 to 65535
      bind = "everywhere" (jwtlet.toml:5): must be an IPv4 or IPv6 address, such as 0.0.0.0 or ::
      log_format = "xml" (jwtlet.toml:6): must be text or json
      storage_backend.type = "redis" (jwtlet.toml:10): must be memory, sqlite or postgres
      k8s.api_server_url = "http://kubernetes.default.svc" (jwtlet.toml:13): must be https, except on loopback: jwtlet's own token travels there
      k8s.cluster_issuer: is missing; set it in the file or as JWTLET__K8S__CLUSTER_ISSUER
      k8s.require_service_account = "yes" (jwtlet.toml:14): must be true or false
      k8s.connect_timeout = 5 (jwtlet.toml:15): must be a time with its unit, such as "5s" or "1m 30s", from 1s to 300s
      k8s.request_timeout = "1h" (jwtlet.toml:16): must be a time with its unit, such as "5s" or "1m 30s", from 1s to 300s
      token.client_audience = "" (jwtlet.toml:19): must not be empty
      token.audience = "a\u{7}b" (JWTLET__TOKEN__AUDIENCE): must not contain control or invisible characters
      token.participant_context_claim = "sub" (jwtlet.toml:20): must not be empty or one of iss, sub, aud, exp, nbf, iat, jti, act, cnf
      token.token_ttl_secs = 0 (jwtlet.toml:21): must be a whole number from 1 to 86400
      token.space_delimited_claims = "scope" (jwtlet.toml:22): must be a list of texts
      vault.url = (not shown) (jwtlet.toml:25): must be an http or https URL without user, query and fragment
      vault.token = (secret) (jwtlet.toml:26): must be one word of printable ASCII
      vault.key_name = "../keys" (jwtlet.toml:28): must be letters, digits, '_', '-' and '.', and start and end with a letter, a digit or '_'
      vault.transit_mount = "a//b" (jwtlet.toml:29): must be segments of letters, digits, '_', '-' and '.' with one '/' between them, none of them '.' or '..', and no '/' at either end
      vault.request_timeout = "soon" (JWTLET__VAULT__REQUEST_TIMEOUT): must be a time with its unit, such as "5s" or "1m 30s", from 1s to 300s
      vault.publish_before_sign = "10s" (jwtlet.toml:30): must be a time with its unit, such as "5s" or "1m 30s", from 300s to 86400s
      vault: exactly one of token_file, token and kubernetes_role must be set, not vault.token_file (jwtlet.toml:27) and vault.token (jwtlet.toml:26)
      service_accounts.system:serviceaccount:ops = ["management:write"] (jwtlet.toml:33): the name must have the form system:serviceaccount:<namespace>:<name>
      service_accounts.system:serviceaccount:ops:admin = ["root"] (jwtlet.toml:34): each role must be one of jwtlet:management:read, jwtlet:management:mappings:write, jwtlet:management:scope:write, management:write
      colour (jwtlet.toml:7): is not a key of this version; allowed here: issuer, token_exchange_port, management_port, bind, log_format, http, limits, tls, storage_backend, k8s, token, management, vault, service_accounts
    "#);
}

#[test]
fn an_empty_configuration_names_everything_that_is_required() {
    insta::assert_snapshot!(load("", &[]).unwrap_err(), @"
    the configuration has 6 problems:
      k8s.api_server_url: is missing; set it in the file or as JWTLET__K8S__API_SERVER_URL
      k8s.cluster_issuer: is missing; set it in the file or as JWTLET__K8S__CLUSTER_ISSUER
      token.client_audience: is missing; set it in the file or as JWTLET__TOKEN__CLIENT_AUDIENCE
      token.audience: is missing; set it in the file or as JWTLET__TOKEN__AUDIENCE
      vault.url: is missing; set it in the file or as JWTLET__VAULT__URL
      vault: exactly one of token_file, token and kubernetes_role must be set, and none is
    ");
}

#[test]
fn variables_alone_can_be_the_whole_configuration() {
    let variables = [
        ("JWTLET__K8S__API_SERVER_URL", "https://kubernetes"),
        ("JWTLET__K8S__CLUSTER_ISSUER", "https://issuer"),
        ("JWTLET__TOKEN__CLIENT_AUDIENCE", "in"),
        ("JWTLET__TOKEN__AUDIENCE", "out"),
        ("JWTLET__VAULT__URL", "https://vault"),
        ("JWTLET__VAULT__TOKEN", "s.token"),
    ];
    let variables = variables.map(|(name, value)| (name.into(), value.into()));
    assert_eq!(Config::load(None, &variables).unwrap().token.audience.as_str(), "out");
}

#[test]
fn what_is_not_set_has_its_documented_default() {
    let config = load(GOOD, &[]).unwrap();
    insta::assert_snapshot!(format!("{config:#?}"), @r#"
    Config {
        issuer: None,
        bind: 0.0.0.0,
        token_exchange_port: 8080,
        management_port: 8081,
        log_format: Text,
        http: HttpConfig {
            worker_threads: None,
            header_timeout: 10s,
            idle_timeout: 60s,
            max_connections: 20000,
            shutdown_delay: 0ns,
        },
        limits: LimitsConfig {
            source: None,
            client: None,
            proxies: Proxies {
                trusted: [],
                header: XForwardedFor,
            },
        },
        tls: None,
        kubernetes: KubernetesSettings {
            api_server_url: "https://kubernetes.default.svc",
            token_file: "/var/run/secrets/kubernetes.io/serviceaccount/token",
            ca_file: "/var/run/secrets/kubernetes.io/serviceaccount/ca.crt",
            require_service_account: true,
            connect_timeout: 5s,
            request_timeout: 10s,
            review_cache_ttl: 10s,
            review_cache_max_entries: 100000,
            max_concurrent_reviews: 64,
            max_waiting_reviews: 1024,
        },
        cluster_issuer: "https://kubernetes.default.svc.cluster.local",
        token: TokenConfig {
            client_audience: "jwtlet-exchange",
            audience: "my-service",
            ttl_secs: 3600,
            claim_rules: ClaimRules {
                participant_context_claim: "jwtlet_pc",
                space_delimited: {
                    "scope",
                },
            },
        },
        management_audience: "jwtlet-exchange",
        vault: VaultSettings {
            url: "https://vault:8200",
            auth: TokenFile(
                "/vault/token",
            ),
            key_name: KeyName(
                "signing-jwtlet_pc",
            ),
            transit_mount: MountPath(
                "transit",
            ),
            namespace: None,
            ca_file: None,
            connect_timeout: 5s,
            request_timeout: 5s,
            publish_before_sign: 600s,
            token_ttl: 3600s,
            max_batch: 200,
            max_in_flight: 4,
            verify_signatures: Sampled,
            signature_algorithm: Rs256,
        },
        storage: StoreSettings {
            backend: Memory,
            policy_cache_bytes: 67108864,
        },
        roles: {},
        warnings: [
            "issuer is not set: tokens name http://localhost, which no verifier on another host can use",
            "management.client_audience is not set: a token for an exchange is good for the management API too",
        ],
    }
    "#);
}

#[test]
fn unknown_keys_are_refused_and_their_values_not_shown() {
    let text = format!(
        "{}\n[vault.tokens]\nx = \"hunter2\"\n[k9s]\nurl = \"hunter2\"\n",
        with("isuer = \"hunter2\"")
    );
    let problems = problems(&text, &[("JWTLET__VAULT__TOKN", "hunter2"), ("JWTLET__", "hunter2")]);
    insta::assert_snapshot!(problems, @"
    (JWTLET__): is not a key of this version; allowed here: issuer, token_exchange_port, management_port, bind, log_format, http, limits, tls, storage_backend, k8s, token, management, vault, service_accounts
    isuer (jwtlet.toml:1): is not a key of this version; allowed here: issuer, token_exchange_port, management_port, bind, log_format, http, limits, tls, storage_backend, k8s, token, management, vault, service_accounts
    k9s (jwtlet.toml:16): is not a key of this version; allowed here: issuer, token_exchange_port, management_port, bind, log_format, http, limits, tls, storage_backend, k8s, token, management, vault, service_accounts
    vault.tokens (jwtlet.toml:14): is not a key of this version; allowed here: url, token_file, token, kubernetes_role, kubernetes_mount, key_name, transit_mount, namespace, ca_file, connect_timeout, request_timeout, publish_before_sign, max_batch, max_in_flight, verify_signatures, signature_algorithm
    vault.tokn (JWTLET__VAULT__TOKN): is not a key of this version; allowed here: url, token_file, token, kubernetes_role, kubernetes_mount, key_name, transit_mount, namespace, ca_file, connect_timeout, request_timeout, publish_before_sign, max_batch, max_in_flight, verify_signatures, signature_algorithm
    ");
}

#[test]
fn keys_of_later_versions_are_unknown_rather_than_ignored() {
    for line in
        ["storage_backend|file = \"jwtlet.db\"", "storage_backend.pool|size = 5", "audit|file = \"x\""]
    {
        let problems = problems(&with(line), &[]);
        assert_eq!(problems.lines().count(), 1, "{problems}");
        assert!(problems.contains("is not a key of this version; allowed here: "), "{problems}");
    }
}
