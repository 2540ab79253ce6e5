//! TLS as the system trusts it: its own list of authorities. Derived.

use std::sync::Arc;

use rustls::ClientConfig;
use rustls::crypto::ring;
use rustls_platform_verifier::ConfigVerifierExt as _;

use crate::{Error, Result};

/// A client's settings. Reads the system's certificates: made once a backend.
pub(crate) fn client_config() -> Result<ClientConfig> {
    let failed = |error: rustls::Error| Error::Unsupported { what: format!("TLS: {error}") };
    // A provider of our own choice: a program that has chosen another one keeps it.
    let _first_wins = ring::default_provider().install_default();
    ClientConfig::with_platform_verifier().map_err(failed)
}

/// The same, shared.
#[cfg(feature = "redis")]
pub(crate) fn shared_config() -> Result<Arc<ClientConfig>> {
    client_config().map(Arc::new)
}
