//! A bundle that is loaded, as callers name it.

use homolog_core::bundle::{Bundle, Manifest};
use std::sync::Arc;

/// A bundle that is loaded.
#[derive(Clone, Debug)]
pub struct Model {
    pub(crate) id: Arc<str>,
    pub(crate) bundle: Arc<Bundle>,
    pub(crate) digest: Arc<str>,
    pub(crate) backbone: Arc<str>,
}

impl Model {
    /// The bundle.
    pub fn bundle(&self) -> &Bundle {
        &self.bundle
    }

    /// Its manifest.
    pub fn manifest(&self) -> &Manifest {
        self.bundle.manifest()
    }

    /// [`Bundle::digest`].
    pub fn digest(&self) -> &Arc<str> {
        &self.digest
    }

    /// [`Bundle::backbone_key`]: models with equal keys share a backbone, and [the tokens](crate::Engine::describe_together) of an
    /// image whose [`Preparation`](homolog_core::bundle::Preparation) is the same for them.
    pub fn backbone_key(&self) -> &str {
        &self.backbone
    }
}
