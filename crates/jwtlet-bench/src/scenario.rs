//! What a row of the table is: who asks how, and how the server is set.

use jwtlet_testkit::KeyType;

use crate::disturbance::Disturbance;

/// One row.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Scenario {
    pub(crate) name: String,
    /// Connections of clients whose exchanges count.
    pub(crate) connections: usize,
    /// Service accounts, each with a mapping of its own.
    pub(crate) clients: usize,
    /// Distinct subject tokens; service accounts take turns.
    pub(crate) tokens: usize,
    pub(crate) order: Order,
    /// How many scopes each exchange requests and is granted.
    pub(crate) scopes: usize,
    pub(crate) pace: Pace,
    /// Who else bothers the server meanwhile.
    pub(crate) disturbance: Option<Disturbance>,
    pub(crate) subject: Subject,
    pub(crate) repeat: Repeat,
    /// Whether it is also measured with `--quick`.
    pub(crate) quick: bool,
}

/// How often a token is used.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Order {
    /// Again and again, in turn.
    Cycle,
    /// Once: as many of them as the time of the row is worth, and it ends when none is left.
    Once,
}

/// When the next exchange is sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Pace {
    /// When the last one of the connection is answered.
    Closed,
    /// On schedule, at half of the exchanges per second of the row of this name.
    HalfOf(&'static str),
}

/// How often a row is measured, and for how long.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Repeat {
    /// In the first round only, and shorter: no target asks for it, or one with a wide bound.
    Once,
    /// In every round.
    Rounds,
    /// Several times a round, in turn with the others of this kind: what is compared there differs by less than one
    /// measurement and the next.
    InTurn,
}

/// What is measured.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Subject {
    /// The HTTP stack alone.
    Limit,
    /// jwtlet with these neighbours and settings.
    Server(Setup),
}

/// The neighbours and settings of a server.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Setup {
    /// Of each call of the Kubernetes and the Vault of the testkit.
    pub(crate) latency_ms: u64,
    pub(crate) vault: VaultKind,
    pub(crate) key: KeyType,
    pub(crate) tuning: Tuning,
    pub(crate) storage: Storage,
    /// Resource mappings besides those of the load.
    pub(crate) others: u32,
}

/// Where the policy is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Storage {
    Memory,
    Sqlite,
    /// A real server, on the same CPUs.
    Postgres,
}

/// Who signs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum VaultKind {
    Testkit,
    OpenBao,
}

/// How the server is set. The names of the keys are those of `config.example.toml`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Tuning {
    /// The defaults.
    Default,
    /// One call to Vault for each signature.
    Unbatched,
    /// The same, and one TokenReview for each exchange.
    Plain,
    /// The defaults on a server that is slowed down fifty times: what is cached stays, and nothing is given up.
    Profiled,
}

impl Tuning {
    fn words(self) -> &'static str {
        match self {
            Self::Default => "defaults",
            Self::Unbatched => "batching off",
            Self::Plain => "cache and batching off",
            Self::Profiled => "no limits of time",
        }
    }

    /// Lines for the table `[k8s]`.
    pub(crate) fn kubernetes_lines(self) -> &'static str {
        match self {
            Self::Default | Self::Unbatched => "",
            Self::Plain => "review_cache_ttl = \"0s\"\nmax_concurrent_reviews = 1024\n",
            Self::Profiled => "review_cache_ttl = \"5m\"\nrequest_timeout = \"5m\"\n",
        }
    }

    /// Lines for the table `[vault]`.
    pub(crate) fn vault_lines(self) -> &'static str {
        match self {
            Self::Default => "",
            Self::Unbatched | Self::Plain => "max_batch = 1\nmax_in_flight = 256\n",
            Self::Profiled => "request_timeout = \"5m\"\n",
        }
    }
}

impl Scenario {
    /// The latency of the fakes, where they answer.
    pub(crate) fn latency_ms(&self) -> Option<u64> {
        match self.subject {
            Subject::Server(Setup { latency_ms, vault: VaultKind::Testkit, .. }) => Some(latency_ms),
            Subject::Server(Setup { vault: VaultKind::OpenBao, .. }) | Subject::Limit => None,
        }
    }

    /// Everything that is not as in most rows, for the reader.
    pub(crate) fn words(&self) -> String {
        let Subject::Server(setup) = self.subject else {
            return "HTTP stack alone".to_owned();
        };
        let mut words = vec![setup.tuning.words().to_owned()];
        if setup.vault == VaultKind::OpenBao {
            words.push("OpenBao".to_owned());
        }
        if setup.key != KeyType::Ed25519 {
            words.push(setup.key.to_string());
        }
        match setup.storage {
            Storage::Memory => {}
            Storage::Sqlite => words.push("SQLite".to_owned()),
            Storage::Postgres => words.push("PostgreSQL".to_owned()),
        }
        if setup.others > 0 || (self.clients != self.tokens && self.order == Order::Cycle) {
            let mappings = u64::from(setup.others) + u64::try_from(self.clients).unwrap_or(u64::MAX);
            words.push(format!("{mappings} mappings"));
        }
        if self.scopes > 1 {
            words.push(format!("{} scopes", self.scopes));
        }
        match self.order {
            Order::Cycle => {}
            Order::Once => words.push("each token once".to_owned()),
        }
        match self.pace {
            Pace::Closed => {}
            Pace::HalfOf(_) => words.push("half the load".to_owned()),
        }
        words.extend(self.disturbance.map(|disturbance| disturbance.words().to_owned()));
        words.join(", ")
    }
}
