//! STUB, not to be committed.
use crate::{Dataset, Error, Evaluation};
/// Stub.
pub fn render(_: &Evaluation, _: &Dataset, _: &dyn Fn(&crate::dataset::Image) -> Option<Vec<u8>>) -> Result<String, Error> { Ok("stub".into()) }
impl Evaluation {
    /// Stub.
    pub fn write_numbers(&self, out: impl std::io::Write) -> Result<(), Error> { crate::report::table::numbers(&self.runs[0].report, out) }
    /// Stub.
    pub fn write_predictions(&self, out: impl std::io::Write) -> Result<(), Error> { crate::report::table::predictions(self.runs[0].predictions()?, &self.settings, out) }
}
