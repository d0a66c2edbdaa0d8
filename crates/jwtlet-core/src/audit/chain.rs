//! The chain: how a record takes its place in it, and how it is followed.

use super::{AuditActor, AuditEntry, AuditRecord, Hash};
use crate::change::Author;

/// A record as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sealed {
    /// Its place in the trail.
    pub sequence: u64,
    /// The JSON of its [`AuditRecord`].
    pub text: String,
    /// The hash of that text.
    pub hash: Hash,
}

impl Sealed {
    /// Reads the record.
    ///
    /// # Errors
    /// A text that is not the JSON of a record.
    pub fn open(&self) -> Result<AuditRecord, serde_json::Error> {
        serde_json::from_str(&self.text)
    }
}

/// The end of the chain. Noted outside the database, it proves later that nothing up to it was altered or removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChainHead {
    /// The number of the last record; 0 when there is none.
    pub sequence: u64,
    /// Its hash, or [`Hash::GENESIS`].
    pub hash: Hash,
}

impl ChainHead {
    /// Of an empty trail.
    pub const EMPTY: Self = Self { sequence: 0, hash: Hash::GENESIS };

    /// Puts an entry at the end of the chain, which then ends with it.
    ///
    /// # Errors
    /// A value that JSON cannot express.
    pub fn seal(&mut self, entry: AuditEntry, author: &Author) -> Result<Sealed, serde_json::Error> {
        let record = AuditRecord {
            sequence: self.sequence + 1,
            time: author.at,
            actor: AuditActor { sub: author.subject.identity.to_string(), uid: author.subject.uid.clone() },
            request_id: author.request_id.clone(),
            apply_id: author.apply_id.as_ref().map(ToString::to_string),
            action: entry.action,
            key: entry.key,
            outcome: entry.outcome,
            reason: entry.reason,
            before: entry.before,
            after: entry.after,
            previous_hash: self.hash,
        };
        let text = serde_json::to_string(&record)?;
        *self = Self { sequence: record.sequence, hash: Hash::of(&text) };
        Ok(Sealed { sequence: self.sequence, text, hash: self.hash })
    }
}

/// Where a chain is broken, and how.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    /// A number is missing: records were removed.
    #[error("record {missing} is missing")]
    Missing {
        /// The first number that is not there.
        missing: u64,
    },
    /// The text does not have the hash that is stored with it.
    #[error("record {sequence} was altered: its text does not have its hash")]
    Altered {
        /// Which record.
        sequence: u64,
    },
    /// The record does not follow from the one before it.
    #[error("record {sequence} does not continue the chain: its previousHash is not the hash of record {}", .sequence - 1)]
    Unchained {
        /// Which record.
        sequence: u64,
    },
    /// The text is not a record, or one of another number.
    #[error("record {sequence} is not readable")]
    Unreadable {
        /// Which record.
        sequence: u64,
    },
    /// The record is sound in itself, but not the one that was noted: it and all before it were written anew.
    #[error("record {sequence} does not have the hash that was noted for it")]
    Rewritten {
        /// Which record.
        sequence: u64,
    },
    /// The records end before or after the head that is stored apart from them.
    #[error("the trail ends with record {found}, but the stored head is record {head}")]
    HeadDiffers {
        /// The last record.
        found: u64,
        /// The number of the head.
        head: u64,
    },
}

impl Broken {
    /// The number of the first record that is not as it should be.
    #[must_use]
    pub fn sequence(&self) -> u64 {
        match self {
            Self::Missing { missing } => *missing,
            Self::Altered { sequence }
            | Self::Unchained { sequence }
            | Self::Unreadable { sequence }
            | Self::Rewritten { sequence } => *sequence,
            Self::HeadDiffers { found, head } => found.min(head) + 1,
        }
    }
}

/// Follows a chain from its beginning, record by record.
#[derive(Debug, Clone)]
pub struct ChainVerifier {
    head: ChainHead,
}

impl Default for ChainVerifier {
    fn default() -> Self {
        Self { head: ChainHead::EMPTY }
    }
}

impl ChainVerifier {
    /// The end of what was followed so far.
    #[must_use]
    pub fn head(&self) -> ChainHead {
        self.head
    }

    /// Takes the next record.
    ///
    /// # Errors
    /// How it fails to continue the chain.
    pub fn follow(&mut self, next: &Sealed) -> Result<AuditRecord, Broken> {
        let sequence = self.head.sequence + 1;
        if next.sequence != sequence {
            return Err(Broken::Missing { missing: sequence });
        }
        if Hash::of(&next.text) != next.hash {
            return Err(Broken::Altered { sequence });
        }
        let record = next.open().map_err(|_| Broken::Unreadable { sequence })?;
        if record.sequence != sequence {
            return Err(Broken::Unreadable { sequence });
        }
        if record.previous_hash != self.head.hash {
            return Err(Broken::Unchained { sequence });
        }
        self.head = ChainHead { sequence, hash: next.hash };
        Ok(record)
    }

    /// Compares the record that was followed last with a head that was noted earlier, if it is the one of that number.
    ///
    /// # Errors
    /// [`Broken::Rewritten`].
    pub fn passes(&self, noted: ChainHead) -> Result<(), Broken> {
        if self.head.sequence == noted.sequence && self.head.hash != noted.hash {
            return Err(Broken::Rewritten { sequence: noted.sequence });
        }
        Ok(())
    }

    /// Compares the end of the chain with the head that the store keeps apart from the records.
    ///
    /// # Errors
    /// [`Broken::HeadDiffers`], [`Broken::Rewritten`].
    pub fn finish(&self, head: ChainHead) -> Result<(), Broken> {
        if self.head.sequence != head.sequence {
            return Err(Broken::HeadDiffers { found: self.head.sequence, head: head.sequence });
        }
        self.passes(head)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        ClientIdentifier, Subject,
        audit::{Action, AuditKey, Outcome},
    };

    fn author() -> Author {
        Author {
            subject: Subject {
                identity: ClientIdentifier::parse("system:serviceaccount:ops:admin").unwrap(),
                uid: Some("42".into()),
            },
            request_id: "r-1".into(),
            apply_id: None,
            at: jiff::Timestamp::constant(1_800_000_000, 123_456_000),
        }
    }

    fn entry(scope: &str) -> AuditEntry {
        AuditEntry {
            action: Action::CreateScope,
            key: AuditKey { scope: Some(scope.into()), ..AuditKey::default() },
            outcome: Outcome::Applied,
            reason: None,
            before: None,
            after: Some(serde_json::json!({"scope": scope})),
        }
    }

    fn chain(scopes: &[&str]) -> (Vec<Sealed>, ChainHead) {
        let mut head = ChainHead::EMPTY;
        let sealed = scopes.iter().map(|scope| head.seal(entry(scope), &author()).unwrap()).collect();
        (sealed, head)
    }

    fn verify(records: &[Sealed], head: ChainHead) -> Result<(), Broken> {
        let mut verifier = ChainVerifier::default();
        for record in records {
            verifier.follow(record)?;
        }
        verifier.finish(head)
    }

    #[test]
    fn a_record_is_json_that_names_its_predecessor() {
        let (records, _) = chain(&["a"]);
        assert_eq!(
            records[0].text,
            concat!(
                r#"{"sequence":1,"time":"2027-01-15T08:00:00.123456Z","#,
                r#""actor":{"sub":"system:serviceaccount:ops:admin","uid":"42"},"requestId":"r-1","#,
                r#""action":"scope.create","key":{"scope":"a"},"outcome":"applied","after":{"scope":"a"},"#,
                r#""previousHash":"0000000000000000000000000000000000000000000000000000000000000000"}"#,
            )
        );
    }

    #[test]
    fn a_record_of_an_apply_names_it_and_one_without_reads_as_before() {
        let apply_id = Some(crate::name::ApplyId::parse("release-7").unwrap());
        let mut head = ChainHead::EMPTY;
        let sealed = [
            head.seal(entry("a"), &author()).unwrap(),
            head.seal(entry("b"), &Author { apply_id, ..author() }).unwrap(),
        ];
        assert!(!sealed[0].text.contains("applyId"));
        assert!(sealed[1].text.contains(r#""requestId":"r-1","applyId":"release-7","action":"#));
        let ids: Vec<_> = sealed.iter().map(|sealed| sealed.open().unwrap().apply_id).collect();
        assert_eq!(ids, [None, Some("release-7".to_owned())]);
        assert_eq!(verify(&sealed, head), Ok(()));
    }

    #[test]
    fn a_whole_chain_is_followed_to_its_head() {
        let (records, head) = chain(&["a", "b", "c"]);
        assert_eq!(verify(&records, head), Ok(()));
        assert_eq!(verify(&[], ChainHead::EMPTY), Ok(()));
    }

    #[test]
    fn what_is_altered_removed_or_cut_off_is_found_where_it_was() {
        let (records, head) = chain(&["a", "b", "c"]);
        let mut altered = records.clone();
        altered[1].text = altered[1].text.replace("applied", "refused");
        assert_eq!(verify(&altered, head), Err(Broken::Altered { sequence: 2 }));
        // An attacker who knows how it works mends the hash of the record; the next one gives it away.
        altered[1].hash = Hash::of(&altered[1].text);
        assert_eq!(verify(&altered, head), Err(Broken::Unchained { sequence: 3 }));
        let removed = [records[0].clone(), records[2].clone()];
        assert_eq!(verify(&removed, head), Err(Broken::Missing { missing: 2 }));
        assert_eq!(verify(&records[..2], head), Err(Broken::HeadDiffers { found: 2, head: 3 }));
        assert_eq!(verify(&records[1..], head), Err(Broken::Missing { missing: 1 }));
    }

    #[test]
    fn a_chain_that_was_written_anew_does_not_pass_a_head_that_was_noted() {
        let (_, noted) = chain(&["a", "b"]);
        let (records, head) = chain(&["a", "x", "c"]);
        assert_eq!(verify(&records, head), Ok(()));
        assert_eq!(verify(&records[..2], noted), Err(Broken::Rewritten { sequence: 2 }));
        assert_eq!(Broken::Rewritten { sequence: 2 }.sequence(), 2);
    }
}
