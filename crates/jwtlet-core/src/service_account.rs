//! The user name form of a Kubernetes service account.

use std::{fmt, str::FromStr};

const PREFIX: &str = "system:serviceaccount:";

/// `system:serviceaccount:<namespace>:<name>`, with both parts in the grammar that Kubernetes enforces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceAccount {
    namespace: String,
    name: String,
}

/// The text is not the user name of a service account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must have the form system:serviceaccount:<namespace>:<name>")]
pub struct NotServiceAccount;

impl ServiceAccount {
    /// The namespace, a DNS label.
    #[must_use]
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// The name, a DNS subdomain.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl fmt::Display for ServiceAccount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}{}:{}", self.namespace, self.name)
    }
}

impl FromStr for ServiceAccount {
    type Err = NotServiceAccount;

    fn from_str(user_name: &str) -> Result<Self, NotServiceAccount> {
        let rest = user_name.strip_prefix(PREFIX).ok_or(NotServiceAccount)?;
        let (namespace, name) = rest.split_once(':').ok_or(NotServiceAccount)?;
        let valid_name = name.len() <= 253 && name.split('.').all(is_dns_label_text);
        if is_dns_label(namespace) && valid_name {
            Ok(Self { namespace: namespace.into(), name: name.into() })
        } else {
            Err(NotServiceAccount)
        }
    }
}

fn is_dns_label(text: &str) -> bool {
    text.len() <= 63 && is_dns_label_text(text)
}

/// Kubernetes limits the length of a subdomain as a whole, not that of its labels.
fn is_dns_label_text(text: &str) -> bool {
    let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    !text.is_empty() && text.bytes().all(inner) && !text.starts_with('-') && !text.ends_with('-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_account_is_namespace_and_name() {
        let account: ServiceAccount = "system:serviceaccount:edc-v:cfm.agents".parse().unwrap();
        assert_eq!((account.namespace(), account.name()), ("edc-v", "cfm.agents"));
        assert_eq!(account.to_string(), "system:serviceaccount:edc-v:cfm.agents");
    }

    #[test]
    fn other_users_are_not_service_accounts() {
        let long = format!("system:serviceaccount:ns:{}", "a".repeat(254));
        for user in [
            "system:serviceaccount:ns",
            "system:serviceaccount:ns:a:b",
            "system:serviceaccount::a",
            "system:serviceaccount:ns:",
            "system:serviceaccount:Ns:a",
            "system:serviceaccount:ns:a_b",
            "system:serviceaccount:ns.x:a",
            "system:serviceaccount:ns:*",
            "system:node:x",
            "system:anonymous",
            "",
            &long,
        ] {
            assert_eq!(user.parse::<ServiceAccount>(), Err(NotServiceAccount), "{user}");
        }
    }
}
