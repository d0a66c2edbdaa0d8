//! The page of the documentation with the errors of the token endpoint, written from the errors themselves.

use std::{fmt::Write, fs, path::Path, time::Duration};

use jiff::Timestamp;
use jwtlet_core::{
    Audience, ClientIdentifier, ExchangeError, Scope, Subject, UpstreamError, evaluation::Refusal,
    merge::ClaimConflict, policy::Denial, subject::Rejection, upstream::System,
};

use super::{
    error::{OAuthError, SOURCE_LIMIT},
    oauth::{self, Form},
};

const GRANT: &str = "grant_type=urn:ietf:params:oauth:grant-type:token-exchange";
const TYPE: &str = "subject_token_type=urn:ietf:params:oauth:token-type:jwt";

fn of_body(body: &str) -> OAuthError {
    Form::read(body.as_bytes()).and_then(|form| oauth::parse(&form)).map(drop).unwrap_err()
}

fn audience() -> Audience {
    Audience::parse("AUDIENCE").unwrap()
}

fn scope(name: &str) -> Scope {
    Scope::parse(name).unwrap()
}

/// Requests that are refused for how they are written.
fn bodies() -> Vec<String> {
    let good = format!("{GRANT}&{TYPE}&subject_token=a.b.c");
    vec![
        "a=%zz".into(),
        "resource=a".into(),
        "grant_type=password".into(),
        format!("{GRANT}&actor_token=a"),
        format!("{GRANT}&{TYPE}&subject_token=a&subject_token=b"),
        format!("{GRANT}&subject_token=a&subject_token_type=saml2"),
        format!("{good}&requested_token_type=saml2"),
        format!("{GRANT}&{TYPE}&subject_token=a"),
        good.clone(),
        format!("{good}&resource=a&resource=b"),
        format!("{good}&resource=.."),
        format!("{good}&resource=a&scope=a++b"),
        format!("{good}&resource=a&scope=%22"),
        format!("{good}&resource=a&audience=%00"),
    ]
}

/// One of each kind. A new kind does not compile before it stands here.
fn rejections() -> Vec<Rejection> {
    use Rejection::{
        AudienceNotConfirmed, Claims, Expired, Header, NotJwt, NotServiceAccount, NotYetValid, Refused,
        TooLong, WrongAudience,
    };
    let all = vec![
        TooLong,
        Header("RULE"),
        Claims("RULE"),
        Expired,
        NotYetValid,
        WrongAudience(audience()),
        AudienceNotConfirmed(audience()),
        NotServiceAccount,
        Refused,
    ];
    for rejection in &all {
        match rejection {
            // It stands among the bodies.
            NotJwt
            | TooLong
            | Header(_)
            | Claims(_)
            | Expired
            | NotYetValid
            | WrongAudience(_)
            | AudienceNotConfirmed(_)
            | NotServiceAccount
            | Refused => {}
        }
    }
    all
}

fn refusals() -> Vec<Refusal> {
    let denials = [
        Denial::NoMapping,
        Denial::Expired(Timestamp::UNIX_EPOCH),
        Denial::ScopesNotGranted(vec![scope("SCOPE")]),
        Denial::AudiencesNotAllowed(vec![audience()]),
        Denial::DefaultAudienceNotAllowed(audience()),
    ];
    for denial in &denials {
        match denial {
            Denial::NoMapping
            | Denial::Expired(_)
            | Denial::ScopesNotGranted(_)
            | Denial::AudiencesNotAllowed(_)
            | Denial::DefaultAudienceNotAllowed(_) => {}
        }
    }
    let conflict = ClaimConflict { claim: "CLAIM".to_owned(), first: scope("SCOPE"), second: scope("OTHER") };
    denials.into_iter().map(Refusal::Denied).chain([Refusal::Conflict(conflict)]).collect()
}

fn row(page: &mut String, error: &OAuthError) {
    let code = serde_json::to_value(error.code()).unwrap();
    let code = code.as_str().unwrap();
    writeln!(page, "| {} | `{code}` | {} |", error.status().as_u16(), error.description()).unwrap();
}

#[test]
fn the_reference_of_errors_has_every_kind() {
    let mut page = String::from(
        "<!-- Written by the test `the_reference_of_errors_has_every_kind`. -->\n\n# Errors of the token endpoint\n\n\
         An answer has these two members, and a description that says what to change. Words in capitals stand for what a\n\
         request or the configuration says. Statuses of the transport (405, 408, 413, 415), and the order of the checks:\n\
         [the exchange API](api.md#errors). Errors of the management API: [common to both](api.md#common-to-both).\n",
    );
    let mut table = |title: &str, errors: Vec<OAuthError>| {
        write!(page, "\n## {title}\n\n| status | `error` | `error_description` |\n| --- | --- | --- |\n")
            .unwrap();
        for error in &errors {
            row(&mut page, error);
        }
    };
    table("The request is not well-formed", bodies().iter().map(|body| of_body(body)).collect());
    let subject =
        || Subject { identity: ClientIdentifier::parse("system:serviceaccount:a:b").unwrap(), uid: None };
    let of = |error: &ExchangeError| OAuthError::from(error);
    table(
        "The subject token is not good",
        rejections().into_iter().map(|rejection| of(&ExchangeError::Rejected(rejection))).collect(),
    );
    table(
        "The policy refuses",
        refusals()
            .into_iter()
            .map(|refusal| of(&ExchangeError::Refused { subject: subject(), refusal }))
            .collect(),
    );
    table(
        "There are too many requests",
        vec![
            OAuthError::too_many(SOURCE_LIMIT, 1),
            of(&ExchangeError::Limited { subject: subject(), retry_after: 1 }),
        ],
    );
    let unavailable = UpstreamError::Unavailable {
        system: System::Vault,
        retry_after: Some(Duration::from_secs(1)),
        cause: "outage".into(),
    };
    let misconfigured = UpstreamError::misconfigured(System::Vault, "refused");
    table(
        "Something else is wrong",
        [unavailable, misconfigured].into_iter().map(|error| of(&ExchangeError::Upstream(error))).collect(),
    );
    page.push_str("\nA 429 and a 503 have `Retry-After`. The cause of a 503 and a 500 is in the log and, by system, on `/readyz` of the management port.\n");

    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference-errors.md");
    if std::env::var_os("JWTLET_UPDATE_DOCS").is_some() {
        fs::write(&file, &page).unwrap();
    }
    let now = fs::read_to_string(&file).unwrap_or_default();
    assert!(now == page, "docs/reference-errors.md is out of date: run this test with JWTLET_UPDATE_DOCS=1");
}
