//! What the fuzz targets do with their input.
//!
//! Each target reads bytes as the program reads them from a stranger, and asserts what must hold of anything that is
//! accepted; that nothing panics holds for all of them. They are plain functions, so that the tests of the workspace run
//! the corpus through them as well, without a fuzzer. `scripts/fuzz` looks for more.

mod configuration;
mod documents;
mod form;
mod kubernetes;
mod policy;
mod subject_token;
mod vault;

pub use configuration::configuration;
pub use documents::documents;
pub use form::form;
pub use kubernetes::kubernetes;
pub use policy::policy;
pub use subject_token::subject_token;
pub use vault::vault;
