//! What the exit status means. Scripts rely on these numbers: they are in `jwtlet --help`, and none is ever reused.

use std::process::ExitCode;

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Exit {
    /// Done; a question was answered with yes.
    Success = 0,
    /// A question was answered with no.
    No = 1,
    /// The command line or an input file cannot be used. The number is that of `clap`.
    Usage = 2,
    /// Nothing failed, but there are warnings.
    Warnings = 3,
    /// No address of a server, or none that can be used.
    NoServer = 10,
    /// The server cannot be reached.
    Unreachable = 11,
    /// The server's certificate is not trusted, or TLS fails.
    Untrusted = 12,
    /// The address is that of the other port, or of something else.
    WrongPort = 13,
    /// The server does not know this command.
    TooOld = 14,
    /// The server cannot answer now, or is asked too often.
    Unavailable = 15,
    /// The answer cannot be understood.
    Nonsense = 16,
    /// There is no token.
    NoToken = 20,
    /// The token has expired.
    TokenExpired = 21,
    /// The token is refused for another reason.
    TokenRefused = 22,
    /// The service account has no role for this call.
    RoleMissing = 23,
    /// The server refuses the request itself.
    Refused = 30,
    /// There is no such record.
    NotFound = 31,
    /// The record exists already.
    Exists = 32,
    /// The record was changed meanwhile.
    Changed = 33,
    /// The policy does not grant the exchange.
    Denied = 34,
    /// Records belong to other owners than the documents say.
    NotOwned = 35,
    /// Standard output cannot be written.
    Output = 40,
    /// A file is not JSON or YAML, or what is in it is no document.
    NotYaml = 50,
    /// Two documents are of one record.
    Duplicates = 51,
    /// A record or a document has a member that the server does not know.
    UnknownField = 52,
}

/// The part of the help that explains the numbers.
pub(crate) const HELP: &str = "\
Exit status:
   0  done; a question was answered with yes
   1  no: `explain` says refused, `audit verify` broken, `token inspect` of no use,
      `exchange --decode` not verified; `lint` or `doctor` failed; `policy diff` has
      changes; a change that `policy apply` asked about is not wanted
   2  the command line or an input file cannot be used; see 50 and 51 too
   3  `lint` or `doctor` has warnings and no failure
  10  no address of a server is given, or it is no URL
  11  the server cannot be reached
  12  the server's certificate is not trusted, or TLS fails
  13  the address is that of the other port, or not that of jwtlet
  14  the server does not know this command: it is older
  15  the server cannot answer now (5xx, or 429: too many requests)
  16  the answer cannot be understood
  20  there is no token: no file, or kubectl fails
  21  the token has expired
  22  the token is refused for another reason
  23  the service account has no role for this call
  30  the server refuses the request for what is in it
  31  there is no such record
  32  the record exists already
  33  the record was changed since it was read, or the policy since it was planned
  34  the policy does not grant the exchange
  35  records belong to other owners than the documents say
  40  standard output cannot be written; a reader who closes it is no failure
  50  a file is not JSON or YAML, or what is in it is no document
  51  two documents are of one record
  52  a record or a document has a member that the server does not know";

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}
