//! The body of an apply: documents of both kinds, and what to do with them.
//!
//! All documents are read before anything is said, so that one answer names what is wrong with each.

use std::{
    borrow::Cow,
    collections::{BTreeMap, HashMap},
};

use jwtlet_core::{
    apply::{Desired, Document, MAX_DOCUMENTS},
    audit::{AuditKey, Hash},
    change::RecordKey,
    mapping::{ClaimRules, ResourceMapping, ScopeMapping},
    name::{ApplyId, Owner},
    strict_json,
};
use serde::Deserialize;
use serde_json::{Map, Value};
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{ArrayBuilder, Ref, RefOr, schema::Schema},
};

use super::{
    input::{self, Input, Mistake},
    records::{MappingInput, ScopeInput},
};
use crate::http::{
    error::{DocumentError, DocumentName, Problem},
    openapi::{Schemas, named},
};

/// The most mistakes that one answer tells.
const MAX_ERRORS: usize = 100;

const MAPPINGS: &str = "resourceMappings";
const SCOPES: &str = "scopeMappings";

/// How documents are to be applied.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Options {
    /// The owner of documents that name none; no document may name another.
    pub(super) owner: Option<Owner>,
    /// Whether the other records of `owner`, which is needed for it, are deleted.
    #[serde(default)]
    prune: bool,
    /// Whether the plan is only told.
    #[serde(default)]
    pub(super) dry_run: bool,
    /// Whether documents take over records of other owners.
    #[serde(default)]
    take_over: bool,
    /// What the audit records of the changes have; made when it is left out.
    pub(super) apply_id: Option<ApplyId>,
    /// The plan that the caller has seen: nothing is applied when it is another one now.
    pub(super) plan_digest: Option<Hash>,
}

/// The body of an apply, as it is described: [`read`] takes its documents one by one. Both kinds together are at most 20,000.
pub(super) struct ApplyRequest;

impl PartialSchema for ApplyRequest {
    fn schema() -> RefOr<Schema> {
        let documents = |name: Cow<'_, str>| {
            ArrayBuilder::new().items(Ref::from_schema_name(name)).max_items(Some(MAX_DOCUMENTS))
        };
        match Options::schema() {
            RefOr::T(Schema::Object(mut options)) => {
                options.properties.insert(MAPPINGS.to_owned(), documents(MappingInput::name()).into());
                options.properties.insert(SCOPES.to_owned(), documents(ScopeInput::name()).into());
                Schema::Object(options).into()
            }
            other => other,
        }
    }
}

impl ToSchema for ApplyRequest {
    fn schemas(schemas: &mut Schemas) {
        Options::schemas(schemas);
        named::<MappingInput>(schemas);
        named::<ScopeInput>(schemas);
    }
}

/// A body that was read. The documents may be wrong in themselves.
pub(super) struct ApplyBody {
    pub(super) options: Options,
    pub(super) documents: Result<Documents, Problem>,
}

/// Documents that may be applied.
pub(super) struct Documents {
    pub(super) desired: Desired,
    positions: HashMap<RecordKey, usize>,
}

impl Documents {
    /// The document of a record.
    pub(super) fn name(&self, key: &RecordKey) -> DocumentName {
        let index = self.positions.get(key).copied().unwrap_or_default();
        DocumentName { kind: jwtlet_core::apply::kind(key), index, key: key.into() }
    }
}

/// Reads a body.
pub(super) fn read(json: &[u8], rules: &ClaimRules) -> Result<ApplyBody, Problem> {
    let mut options = Map::new();
    let mut mappings = Kind::<ResourceMapping>::default();
    let mut scopes = Kind::<ScopeMapping>::default();
    let outcome = strict_json::each_member(json, &[MAPPINGS, SCOPES], |name, position, value| {
        match position {
            None => {
                options.insert(name.to_owned(), value);
            }
            Some(_) if mappings.count + scopes.count == MAX_DOCUMENTS => {
                let detail = format!("at most {MAX_DOCUMENTS} documents can be applied at a time");
                return Err(Problem::bad_request(detail));
            }
            Some(index) if name == MAPPINGS => mappings.take::<MappingInput>(index, value, rules),
            Some(index) => scopes.take::<ScopeInput>(index, value, rules),
        }
        Ok(())
    });
    outcome.map_err(input::not_json)??;
    let options: Options = serde_path_to_error::deserialize(Value::Object(options)).map_err(|error| {
        let path = error.path().to_string();
        let separator = if path == "." { "" } else { ": " };
        Problem::bad_request(format!("{}{separator}{}", path.trim_start_matches('.'), error.inner()))
    })?;
    if options.prune && options.owner.is_none() {
        return Err(Problem::bad_request("prune: needs owner, whose other records it deletes"));
    }
    let documents = finish(mappings, scopes, &options);
    Ok(ApplyBody { options, documents })
}

fn finish(
    mut mappings: Kind<ResourceMapping>,
    mut scopes: Kind<ScopeMapping>,
    options: &Options,
) -> Result<Documents, Problem> {
    if let Some(owner) = &options.owner {
        mappings.belong_to(owner);
        scopes.belong_to(owner);
    }
    let wrong = mappings.wrong + scopes.wrong;
    if wrong > 0 {
        let mut errors = mappings.errors;
        errors.append(&mut scopes.errors);
        errors.truncate(MAX_ERRORS);
        let detail = format!("{wrong} mistakes in the documents; errors has the first {}", errors.len());
        return Err(Problem::bad_request(detail).with_errors(errors));
    }
    let mut positions = HashMap::new();
    let desired = Desired {
        mappings: mappings.keyed(&mut positions),
        scopes: scopes.keyed(&mut positions),
        prune: options.owner.clone().filter(|_| options.prune),
        take_over: options.take_over,
    };
    Ok(Documents { desired, positions })
}

/// The documents of one kind.
struct Kind<D: Document> {
    count: usize,
    read: BTreeMap<D::Key, (usize, D)>,
    wrong: usize,
    errors: Vec<DocumentError>,
}

impl<D: Document> Default for Kind<D> {
    fn default() -> Self {
        Self { count: 0, read: BTreeMap::new(), wrong: 0, errors: Vec::new() }
    }
}

impl<D: Document> Kind<D> {
    fn take<I: Input<Output = D>>(&mut self, index: usize, value: Value, rules: &ClaimRules) {
        self.count += 1;
        match input::check::<I>(value, rules) {
            Err(Mistake { path, rule, key }) => self.err(index, path, rule, key),
            Ok(document) => {
                let key = document.id().clone();
                if let Some((first, _)) = self.read.get(&key) {
                    let rule = format!("names the same record as the document with index {first}");
                    self.err(index, String::new(), rule, (&D::record_key(&key)).into());
                } else {
                    self.read.insert(key, (index, document));
                }
            }
        }
    }

    /// A rule may begin with the name of its member.
    fn err(&mut self, index: usize, field: String, message: String, key: AuditKey) {
        self.wrong += 1;
        if self.errors.len() >= MAX_ERRORS {
            return;
        }
        let (field, message) = match message.split_once(": ") {
            Some((member, rule)) if field.is_empty() && member.chars().all(char::is_alphanumeric) => {
                (member.to_owned(), rule.to_owned())
            }
            _ => (field, message),
        };
        let document = DocumentName { kind: D::KIND, index, key };
        self.errors.push(DocumentError { document, field, message });
    }

    /// Documents without an owner get this one, and no other may be named.
    fn belong_to(&mut self, owner: &Owner) {
        for (key, (index, document)) in std::mem::take(&mut self.read) {
            match &document.metadata().owner {
                Some(other) if other != owner => {
                    let rule = format!("must be {owner}, as that of the apply, or be left out");
                    self.err(index, "owner".to_owned(), rule, (&D::record_key(&key)).into());
                }
                _ => {
                    self.read.insert(key, (index, document.owned_by(owner.clone())));
                }
            }
        }
    }

    fn keyed(self, positions: &mut HashMap<RecordKey, usize>) -> BTreeMap<D::Key, D> {
        let record = |(key, (index, document)): (D::Key, (usize, D))| {
            positions.insert(D::record_key(&key), index);
            (key, document)
        };
        self.read.into_iter().map(record).collect()
    }
}
