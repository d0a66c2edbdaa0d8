//! The rows of the table.

/// One row: who asks how much, and how the server is set.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    pub(crate) connections: usize,
    pub(crate) tokens: usize,
    pub(crate) subject: Subject,
}

/// What is measured.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Subject {
    /// The HTTP stack alone.
    Limit,
    /// jwtlet with these neighbours and settings.
    Server {
        /// Of each call of the Kubernetes and the Vault of the testkit.
        latency_ms: u64,
        vault: VaultKind,
        tuning: Tuning,
        storage: Storage,
    },
}

/// Where the policy is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Storage {
    Memory,
    Sqlite,
    /// A real server, on the same CPUs.
    Postgres {
        /// Resource mappings besides those of the load.
        others: u32,
    },
}

impl Storage {
    fn words(self) -> &'static str {
        match self {
            Self::Memory => "",
            Self::Sqlite => ", SQLite",
            Self::Postgres { others: 0 } => ", PostgreSQL",
            Self::Postgres { .. } => ", PostgreSQL with a million mappings more",
        }
    }
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
    pub(crate) fn words(self) -> &'static str {
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

/// The rows in the order in which they are measured: what is compared stands together.
pub(crate) const ALL: [Scenario; 11] = [
    Scenario { name: "limit", connections: 64, tokens: 100, subject: Subject::Limit },
    testkit("warm-64", 64, 2, Tuning::Default),
    testkit("plain-64", 64, 2, Tuning::Plain),
    testkit("warm-256", 256, 20, Tuning::Default),
    stored("sqlite", Storage::Sqlite),
    stored("postgres", Storage::Postgres { others: 0 }),
    stored("postgres-1m", Storage::Postgres { others: 1_000_000 }),
    testkit("alone", 1, 2, Tuning::Default),
    testkit("alone-unbatched", 1, 2, Tuning::Unbatched),
    openbao("openbao", Tuning::Default),
    openbao("openbao-unbatched", Tuning::Unbatched),
];

const fn testkit(name: &'static str, connections: usize, latency_ms: u64, tuning: Tuning) -> Scenario {
    let subject = Subject::Server { latency_ms, vault: VaultKind::Testkit, tuning, storage: Storage::Memory };
    Scenario { name, connections, tokens: 100, subject }
}

const fn stored(name: &'static str, storage: Storage) -> Scenario {
    let (vault, tuning) = (VaultKind::Testkit, Tuning::Default);
    let subject = Subject::Server { latency_ms: 2, vault, tuning, storage };
    Scenario { name, connections: 64, tokens: 100, subject }
}

const fn openbao(name: &'static str, tuning: Tuning) -> Scenario {
    let subject =
        Subject::Server { latency_ms: 0, vault: VaultKind::OpenBao, tuning, storage: Storage::Memory };
    Scenario { name, connections: 64, tokens: 100, subject }
}

impl Scenario {
    /// The latency of the fakes, where they answer.
    pub(crate) fn latency_ms(&self) -> Option<u64> {
        match self.subject {
            Subject::Server { latency_ms, vault: VaultKind::Testkit, .. } => Some(latency_ms),
            Subject::Server { vault: VaultKind::OpenBao, .. } | Subject::Limit => None,
        }
    }

    /// What the reader has to know of the settings.
    pub(crate) fn words(&self) -> String {
        match self.subject {
            Subject::Limit => "HTTP stack alone".to_owned(),
            Subject::Server { vault: VaultKind::Testkit, tuning, storage, .. } => {
                format!("{}{}", tuning.words(), storage.words())
            }
            Subject::Server { vault: VaultKind::OpenBao, tuning, .. } => {
                format!("OpenBao, {}", tuning.words())
            }
        }
    }
}
