//! What the development mode shows: a policy, one exchange, its verification.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use http::{StatusCode, header};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, jwk::JwkSet};
use serde_json::{Map, Value, json};

use super::{
    environment::{
        ADMIN, CLIENT_AUDIENCE, CONNECTOR, Environment, MANAGEMENT_AUDIENCE, NAMESPACE, PROVISIONER,
        SERVICE_AUDIENCE,
    },
    error::DevError,
};

const FORM: &str = "application/x-www-form-urlencoded";
const CONTEXT: &str = "acme";
const OTHER_CONTEXT: &str = "globex";
/// That of `examples/dataspace`, whose policy can be applied to this one.
const OWNER: &str = "dataspace-platform";
const SCOPE: &str = "read management-api:assets:write";

/// One exchange with what came of it.
pub(super) struct Exchanged {
    subject_token: String,
    answer: Value,
    header: Value,
    claims: Map<String, Value>,
}

/// Seeds the policy, exchanges a token and verifies the issued one with the published keys.
pub(super) async fn exchange(environment: &Environment) -> Result<Exchanged, DevError> {
    seed(environment).await?;
    let subject_token = environment.kubernetes.token(NAMESPACE, CONNECTOR).audience(CLIENT_AUDIENCE).mint();
    let url = format!("http://{}/token", environment.exchange);
    let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(form(&subject_token)).finish();
    let request = environment.http.get()?.post(url).header(header::CONTENT_TYPE, FORM).body(body);
    let answer = environment.http.send(request).await?;
    let status = answer.status;
    let answer: Value = answer.json()?;
    if status != StatusCode::OK {
        return Err(DevError::Refused { call: "POST /token", status, body: answer.to_string() });
    }
    let token = answer["access_token"].as_str().ok_or(DevError::Incomplete("POST /token"))?;
    let (header, claims) = verify(environment, token).await?;
    Ok(Exchanged { subject_token, answer, header, claims })
}

fn form(subject_token: &str) -> [(&'static str, &str); 5] {
    [
        ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
        ("subject_token_type", "urn:ietf:params:oauth:token-type:jwt"),
        ("subject_token", subject_token),
        ("resource", CONTEXT),
        ("scope", SCOPE),
    ]
}

/// Two service accounts, two participant contexts, narrow scopes and one tier.
async fn seed(environment: &Environment) -> Result<(), DevError> {
    let narrow = |scope: &str| json!({"scope": scope, "claims": {"scope": scope}, "owner": OWNER});
    let tier = json!({
        "scope": "read",
        "owner": OWNER,
        "claims": {"scope": "management-api:assets:read identity-api:credentials:read", "roles": ["reader"]},
    });
    let scopes = json!([
        narrow("management-api:assets:read"),
        narrow("management-api:assets:write"),
        narrow("identity-api:credentials:read"),
        narrow("tenant-manager-api:write"),
        tier,
    ]);
    let mapping = |account: &str, context: &str, scopes: &[&str]| {
        json!({
            "clientIdentifier": format!("system:serviceaccount:{NAMESPACE}:{account}"),
            "participantContext": context,
            "scopes": scopes,
            "audiences": [SERVICE_AUDIENCE],
            "owner": OWNER,
        })
    };
    let mappings = json!([
        mapping(CONNECTOR, CONTEXT, &["read", "management-api:assets:read", "management-api:assets:write"]),
        mapping(PROVISIONER, CONTEXT, &["read", "tenant-manager-api:write"]),
        mapping(PROVISIONER, OTHER_CONTEXT, &["read", "tenant-manager-api:write"]),
    ]);
    create(environment, "POST /api/v1/scopes", "scopes", &scopes).await?;
    create(environment, "POST /api/v1/mappings", "mappings", &mappings).await
}

async fn create(
    environment: &Environment,
    call: &'static str,
    path: &str,
    records: &Value,
) -> Result<(), DevError> {
    let token = environment.kubernetes.token(NAMESPACE, ADMIN).audience(MANAGEMENT_AUDIENCE).mint();
    let url = format!("http://{}/api/v1/{path}", environment.management);
    let request = environment.http.get()?.post(url).bearer_auth(token).json(records);
    let answer = environment.http.send(request).await?;
    if answer.status == StatusCode::CREATED {
        return Ok(());
    }
    let body = answer.json::<Value>().unwrap_or_default().to_string();
    Err(DevError::Refused { call, status: answer.status, body })
}

/// Verifies a token as a downstream service does: discovery, keys, signature, issuer, audience and times.
async fn verify(environment: &Environment, token: &str) -> Result<(Value, Map<String, Value>), DevError> {
    let http = &environment.http;
    let discovery = format!("http://{}/.well-known/openid-configuration", environment.exchange);
    let metadata: Value = http.send(http.get()?.get(discovery)).await?.json()?;
    let member = |name: &str| metadata[name].as_str().ok_or(DevError::Incomplete("discovery"));
    let keys: JwkSet = http.send(http.get()?.get(member("jwks_uri")?)).await?.json()?;

    let kid = jsonwebtoken::decode_header(token)?.kid.unwrap_or_default();
    let key = keys.find(&kid).ok_or_else(|| DevError::UnknownKey(kid.clone()))?;
    let mut validation = Validation::new(Algorithm::EdDSA);
    validation.set_issuer(&[member("issuer")?]);
    validation.set_audience(&[SERVICE_AUDIENCE]);
    validation.set_required_spec_claims(&["exp", "iss", "aud", "nbf", "sub"]);
    validation.validate_nbf = true;
    let decoded =
        jsonwebtoken::decode::<Map<String, Value>>(token, &DecodingKey::from_jwk(key)?, &validation)?;
    // The header once more, as it was written and not as a library models it.
    let header = token.split('.').next().and_then(|part| URL_SAFE_NO_PAD.decode(part).ok());
    let header = header.and_then(|json| serde_json::from_slice(&json).ok());
    Ok((header.ok_or(DevError::Incomplete("the JWT header"))?, decoded.claims))
}

/// The story.
pub(super) fn tell(environment: &Environment, exchanged: &Exchanged, stays: bool) -> String {
    let Environment { exchange, management, .. } = environment;
    let parameters =
        form(&exchanged.subject_token).map(|(name, value)| format!("--data-urlencode '{name}={value}'"));
    let parameters = parameters.join(" \\\n  ");
    let mut story = format!(
        "*** DEVELOPMENT MODE: NOT FOR PRODUCTION. Kubernetes and Vault are stand-ins that live in this process, and
*** their keys, tokens and policy end with it.

exchange API    http://{exchange}
management API  http://{management}/api/v1
configuration   {config}

The service account {NAMESPACE}:{CONNECTOR} asks to act for the participant context {CONTEXT}:

curl -s http://{exchange}/token \\
  {parameters}

The answer:

{answer}

The header and the claims of the issued token, verified with {issuer}/.well-known/jwks.json:

{header}
{claims}
",
        config = environment.config_file().display(),
        issuer = exchanged.claims.get("iss").and_then(Value::as_str).unwrap_or_default(),
        answer = pretty(&exchanged.answer),
        header = pretty(&exchanged.header),
        claims = pretty(&Value::Object(exchanged.claims.clone())),
    );
    if stays {
        story.push_str(&next_steps(environment));
    }
    story
}

fn next_steps(environment: &Environment) -> String {
    let (management, kubeconfig) = (environment.management, environment.kubeconfig());
    let kubeconfig = kubeconfig.display();
    format!(
        "Another subject token, with kubectl:

kubectl --kubeconfig {kubeconfig} create token {CONNECTOR} -n {NAMESPACE} --audience={CLIENT_AUDIENCE}

or without, in the member status.token of the answer:

{token_request}

The policy, as {NAMESPACE}:{ADMIN} sees it:

curl -s http://{management}/api/v1/mappings \\
  -H 'Authorization: Bearer {admin_token}'

Ctrl-C stops.
",
        token_request = token_request(environment, CONNECTOR, CLIENT_AUDIENCE),
        admin_token = environment.kubernetes.token(NAMESPACE, ADMIN).audience(MANAGEMENT_AUDIENCE).mint(),
    )
}

/// What `kubectl create token` sends.
fn token_request(environment: &Environment, account: &str, audience: &str) -> String {
    let kubernetes = &environment.kubernetes;
    let body = json!({
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenRequest",
        "spec": {"audiences": [audience]},
    });
    format!(
        "curl -s --cacert {ca} {url}/api/v1/namespaces/{NAMESPACE}/serviceaccounts/{account}/token \\
  -H 'Authorization: Bearer {admin}' -H 'Content-Type: application/json' \\
  -d '{body}'",
        ca = environment.ca_file().display(),
        url = kubernetes.url(),
        admin = kubernetes.admin_token(),
    )
}

fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(value).unwrap_or_default()
}
