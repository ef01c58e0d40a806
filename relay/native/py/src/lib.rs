//! `relay._native`: what Python sees of the native relay. Nothing but PyO3 lives in this crate.
#![forbid(unsafe_code)]

use pyo3::prelude::*;

#[pymodule]
mod _native {
    use super::*;

    /// The version of the extension; it equals the version of the Python distribution it was built with.
    #[pyfunction]
    fn version() -> &'static str {
        env!("CARGO_PKG_VERSION")
    }
}
