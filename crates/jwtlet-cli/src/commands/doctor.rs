//! Whether everything is in order, seen from here: one line for each check, and what to mend.
//!
//! Nothing is changed. Write roles are not tried, because refused attempts leave audit records. One exchange is tried, for
//! a participant context that no policy knows: it is refused, and how says whether the server accepts the token.

use jiff::{SignedDuration, Timestamp};
use jwtlet_core::{
    ParticipantContext, service_account::ServiceAccount, subject::Rejection, subject_token::UnverifiedClaims,
    upstream::chain,
};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    VERSION,
    cli::Format,
    client::{
        Call, Endpoint, ExchangeClient, ExchangeRequest, ManagementClient, Reply, date, is_other_port, path,
    },
    clock,
    credentials::{Token, TokenSource},
    error::Error,
    exit::Exit,
    input::InputError,
    jwks::Key,
    jwt::{relative, span},
    output::{Output, Tone},
    port::Port,
    settings::Settings,
    text::{printable, without_tokens},
};

/// How far clocks may be apart: what Kubernetes and jwtlet tolerate.
const TOLERATED_SKEW: SignedDuration = SignedDuration::from_secs(60);

/// From when on a difference of clocks is worth a word. The header has whole seconds, and an answer takes time.
const NOTABLE_SKEW: SignedDuration = SignedDuration::from_secs(5);

/// How soon a token may expire without a word.
const SOON: SignedDuration = SignedDuration::from_secs(60);

/// How a check ended, from good to bad.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Level {
    Ok,
    Warn,
    Fail,
}

impl Level {
    fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Fail => "fail",
        }
    }

    fn tone(self) -> Tone {
        match self {
            Self::Ok => Tone::Good,
            Self::Warn => Tone::Warning,
            Self::Fail => Tone::Bad,
        }
    }
}

/// The checks so far.
#[derive(Debug)]
struct Doctor<'a> {
    settings: &'a Settings,
    output: Output,
    worst: Level,
    checks: Vec<Value>,
}

pub(crate) async fn run(settings: &Settings, output: Output) -> Result<Exit, Error> {
    if !settings.names(Port::Management) && !settings.names(Port::Exchange) {
        return Err(Error::NoServer(Port::Management));
    }
    let mut doctor = Doctor { settings, output, worst: Level::Ok, checks: Vec::new() };
    if let Some(endpoint) = doctor.reach(Port::Management).await? {
        doctor.management(endpoint).await?;
    }
    if let Some(endpoint) = doctor.reach(Port::Exchange).await? {
        doctor.exchange(endpoint).await?;
    }
    if output.format != Format::Table {
        output.show(&json!({"worst": doctor.worst.name(), "checks": doctor.checks}), String::new)?;
    }
    Ok(match doctor.worst {
        Level::Ok => Exit::Success,
        Level::Warn => Exit::Warnings,
        Level::Fail => Exit::No,
    })
}

impl Doctor<'_> {
    /// Notes a check, and says it at once to people.
    fn say(&mut self, level: Level, name: &str, detail: &str, mend: Option<&str>) -> Result<(), Error> {
        self.worst = self.worst.max(level);
        self.checks.push(json!({"level": level.name(), "name": name, "detail": detail, "mend": mend}));
        if self.output.format != Format::Table {
            return Ok(());
        }
        let mark = self.output.paint(level.tone(), &format!("{:<5}", level.name()));
        let mend = mend.map(|mend| format!("; {mend}")).unwrap_or_default();
        self.output.print(&format!("{mark} {name:<20} {detail}{mend}\n"))
    }

    fn fail(&mut self, name: &str, error: &Error) -> Result<(), Error> {
        let detail = without_tokens(&chain(error));
        self.say(Level::Fail, name, &detail, error.help().as_deref())
    }

    /// Address, process and readiness of a port. Gives the endpoint when it answers as this port.
    async fn reach(&mut self, port: Port) -> Result<Option<Endpoint>, Error> {
        let name = port.name();
        let endpoint = match self.settings.endpoint(port) {
            Ok(endpoint) => endpoint,
            Err(error @ Error::NoServer(_)) => {
                let mend = error.help();
                let detail = format!("{error}, so it is not checked");
                self.say(Level::Warn, name, &detail, mend.as_deref())?;
                return Ok(None);
            }
            Err(error) => {
                self.fail(name, &error)?;
                return Ok(None);
            }
        };
        let live = match endpoint.send(Call::get("/health")).await {
            Ok(reply) => reply,
            Err(error) => {
                self.fail(name, &error)?;
                return Ok(None);
            }
        };
        let url = endpoint.url().to_owned();
        if live.status != 200 {
            self.fail(name, &Error::NotJwtlet { expected: port, url, status: live.status })?;
            return Ok(None);
        }
        let other = match is_other_port(&endpoint).await {
            Ok(false) => None,
            Ok(true) => Some(Error::WrongPort { expected: port, url }),
            Err(limited) => Some(limited),
        };
        if let Some(error) = other {
            self.fail(name, &error)?;
            return Ok(None);
        }
        self.address(&endpoint)?;
        if port == Port::Management {
            self.version(live.version().as_deref())?;
        }
        self.skew(name, &live)?;
        self.readiness(&endpoint).await?;
        Ok(Some(endpoint))
    }

    fn address(&mut self, endpoint: &Endpoint) -> Result<(), Error> {
        let (name, url) = (endpoint.port.name(), endpoint.url());
        if url.starts_with("http://") && !endpoint.is_loopback() {
            let mend = "put TLS in front of the server, or make sure that the network is private";
            return self.say(
                Level::Warn,
                name,
                &format!("{url} answers, and tokens travel to it in the clear"),
                Some(mend),
            );
        }
        self.say(Level::Ok, name, &format!("{url} answers"), None)
    }

    fn skew(&mut self, port: &str, reply: &Reply) -> Result<(), Error> {
        let name = format!("{port} clock");
        let Some(date) = date(reply) else {
            let detail = "the answer has no Date header, so the clocks cannot be compared";
            return self.say(
                Level::Warn,
                &name,
                detail,
                Some("let what stands in front of the server pass it on"),
            );
        };
        let skew = clock::now().duration_since(date).abs();
        let detail = format!("this machine and the server are {} apart", span(skew));
        let mend = Some("let both keep their time with NTP: tokens are judged by it");
        match skew {
            _ if skew > TOLERATED_SKEW => self.say(Level::Fail, &name, &detail, mend),
            _ if skew > NOTABLE_SKEW => self.say(Level::Warn, &name, &detail, mend),
            _ => self.say(Level::Ok, &name, &detail, None),
        }
    }

    async fn readiness(&mut self, endpoint: &Endpoint) -> Result<(), Error> {
        let name = format!("{} ready", endpoint.port.name());
        match endpoint.send(Call::get("/readyz")).await {
            Ok(reply) if reply.status == 200 => self.say(Level::Ok, &name, "exchanges can be served", None),
            Ok(reply) => {
                let text = reply.text();
                let lines: Vec<String> = text.lines().map(printable).collect();
                let detail = format!("{}: {}", reply.status, lines.join(", "));
                self.say(
                    Level::Fail,
                    &name,
                    &detail,
                    Some("mend the system that it names; the server's log says more"),
                )
            }
            Err(error) => self.fail(&name, &error),
        }
    }

    /// Token and role, by one read that needs them.
    async fn management(&mut self, endpoint: Endpoint) -> Result<(), Error> {
        let Some(token) = self.token(Port::Management)? else { return Ok(()) };
        let client = ManagementClient::new(endpoint, token);
        let reply = client.get(&format!("{}?limit=1", path(&["mappings"]))).await;
        match reply {
            Ok(_) => {
                self.say(Level::Ok, "management role", "reading is permitted; writing is not tried", None)
            }
            Err(error @ Error::RoleMissing { .. }) => {
                let detail = format!("{error}; writing is not tried");
                self.say(Level::Warn, "management role", &detail, error.help().as_deref())
            }
            Err(error) => self.fail("management role", &error),
        }
    }

    fn version(&mut self, version: Option<&str>) -> Result<(), Error> {
        let name = "server version";
        match version {
            Some(VERSION) => self.say(Level::Ok, name, &format!("{VERSION}, as this command"), None),
            Some(version) => {
                let detail = format!("{version}, and this command is {VERSION}");
                self.say(Level::Warn, name, &detail, Some("use the command of the server's version"))
            }
            None => {
                let detail = format!("the server does not tell, and this command is {VERSION}");
                self.say(
                    Level::Warn,
                    name,
                    &detail,
                    Some("it is older, or something in front of it hides the Server header"),
                )
            }
        }
    }

    /// Keys, issuer and token.
    async fn exchange(&mut self, endpoint: Endpoint) -> Result<(), Error> {
        let client = ExchangeClient::new(endpoint);
        match client.keys().await {
            Ok(set) if set.keys.is_empty() => {
                let mend = "look at the server's log: it cannot read its key from Vault";
                self.say(Level::Fail, "keys", "no key is published", Some(mend))?;
            }
            Ok(set) => {
                let (usable, odd): (Vec<&Key>, Vec<&Key>) = set.keys.iter().partition(|key| key.is_usable());
                let names = |keys: &[&Key]| {
                    let name = |key: &&Key| printable(&format!("{} ({})", key.kid, key.alg));
                    keys.iter().map(name).collect::<Vec<_>>().join(", ")
                };
                if odd.is_empty() {
                    self.say(Level::Ok, "keys", &names(&usable), None)?;
                } else {
                    let detail = format!("of no use to this command: {}", names(&odd));
                    self.say(
                        Level::Warn,
                        "keys",
                        &detail,
                        Some("check that what is published comes from jwtlet"),
                    )?;
                }
            }
            Err(error) => self.fail("keys", &error)?,
        }
        match client.metadata().await {
            Ok(metadata) => self.issuer(&metadata, client.endpoint())?,
            Err(error) => self.fail("issuer", &error)?,
        }
        match self.token(Port::Exchange)? {
            Some(token) => self.verdict(&client, &token).await,
            None => Ok(()),
        }
    }

    /// Whether the server accepts the token: its audience is a matter of the server's configuration.
    async fn verdict(&mut self, client: &ExchangeClient, token: &Token) -> Result<(), Error> {
        let name = "exchange verdict";
        let nobody = format!("jwtlet-doctor-{}", Uuid::new_v4().simple());
        let resource = ParticipantContext::parse(&nobody)
            .map_err(|rule| InputError::Name { name: "the participant context", rule })?;
        let request =
            ExchangeRequest { resource: &resource, scopes: &[], audiences: &[], requested_token_type: None };
        match client.exchange(&request, token).await {
            Ok(_) | Err(Error::Denied { .. }) => {
                self.say(Level::Ok, name, "the server accepts the token", None)
            }
            Err(error @ Error::TokenRefused { .. }) => {
                let detail = without_tokens(&chain(&error));
                let mend = "the audience in --exchange-audience (JWTLET_EXCHANGE_AUDIENCE) must be that of \
                            token.client_audience in the server's configuration";
                self.say(Level::Fail, name, &detail, Some(mend))
            }
            Err(error) => self.fail(name, &error),
        }
    }

    fn issuer(&mut self, metadata: &Value, endpoint: &Endpoint) -> Result<(), Error> {
        let issuer = printable(metadata["issuer"].as_str().unwrap_or_default());
        if issuer.starts_with("http://localhost") && !endpoint.is_loopback() {
            let detail = format!("{issuer}, which nobody else can reach");
            return self.say(
                Level::Warn,
                "issuer",
                &detail,
                Some("set issuer in the server's configuration"),
            );
        }
        self.say(Level::Ok, "issuer", &issuer, None)
    }

    /// Gives the token for a port when it is worth presenting.
    fn token(&mut self, port: Port) -> Result<Option<Token>, Error> {
        let name = format!("{} token", port.name());
        let token = match self.settings.token(port) {
            Ok(token) => token,
            Err(error) => {
                // A port that nobody wants a token for is no failure; which one that is, only the user knows.
                self.say(Level::Warn, &name, &without_tokens(&chain(&error)), error.help().as_deref())?;
                return Ok(None);
            }
        };
        let origin = self.settings.tokens().describe(port);
        let audience = self.settings.audience(port);
        let now = clock::now();
        let outcome = token.decode().and_then(|claims| claims.check(audience, now).map(|()| claims));
        match outcome {
            Ok(claims) => {
                let subject = printable(claims.subject.as_deref().unwrap_or("without sub"));
                if subject.parse::<ServiceAccount>().is_err() {
                    let detail = format!("{subject} is not a service account ({origin})");
                    self.say(Level::Warn, &name, &detail, Some("present the token of one"))?;
                } else {
                    self.expiry(&name, &subject, claims.expires_at, now)?;
                }
                Ok(Some(token))
            }
            Err(rejection) => {
                let (level, mend) = if self.is_for_other_port(port, &token, &rejection) {
                    let mend = "use --service-account or the projected tokens to check both ports";
                    (Level::Warn, mend)
                } else {
                    (Level::Fail, "`jwtlet token inspect FILE` shows it")
                };
                self.say(level, &name, &format!("the token {rejection} ({origin})"), Some(mend))?;
                Ok(None)
            }
        }
    }

    /// Whether a file that was named has the token for the other port, which is checked too: one file cannot serve both.
    fn is_for_other_port(&self, port: Port, token: &Token, rejection: &Rejection) -> bool {
        let other = port.other();
        let fits = |claims: UnverifiedClaims| claims.check(self.settings.audience(other), clock::now());
        matches!(rejection, Rejection::WrongAudience(_))
            && matches!(self.settings.tokens(), TokenSource::File(_))
            && self.settings.names(other)
            && token.claims().is_some_and(|claims| fits(claims).is_ok())
    }

    fn expiry(&mut self, name: &str, subject: &str, at: Timestamp, now: Timestamp) -> Result<(), Error> {
        let detail = format!("{subject}, expires {}", relative(at, now));
        if at.duration_since(now) < SOON {
            return self.say(Level::Warn, name, &detail, Some("get a new one"));
        }
        self.say(Level::Ok, name, &detail, None)
    }
}
