//! Collects tensor groups, layer by layer.

use crate::model::spec::{Parallel, Role, TensorGroup};

/// The groups so far, and where the next ones belong.
#[derive(Default)]
pub(super) struct Tensors {
    pub(super) groups: Vec<TensorGroup>,
    layer: Option<u32>,
    prefix: String,
}

impl Tensors {
    /// The next groups belong to decoder layer `index`.
    pub(super) fn enter_layer(&mut self, index: u64) {
        self.layer = u32::try_from(index).ok();
        self.prefix = format!("layers.{index}.");
    }

    /// The next groups belong to no layer.
    pub(super) fn leave_layers(&mut self) {
        self.layer = None;
        self.prefix.clear();
    }

    /// Adds a group; one without elements is left out.
    pub(super) fn add(&mut self, name: &str, role: Role, rows: u64, columns: u64, copies: u64) {
        if rows == 0 || columns == 0 || copies == 0 {
            return;
        }
        let name = [self.prefix.as_str(), name].concat();
        self.groups.push(TensorGroup { name, layer: self.layer, role, rows, columns, copies, stored: None });
    }

    /// A linear layer of `rows` outputs and `columns` inputs.
    pub(super) fn linear(&mut self, name: &str, rows: u64, columns: u64, parallel: Parallel) {
        self.add(name, Role::Linear(parallel), rows, columns, 1);
    }

    /// A vector of the model's dtype.
    pub(super) fn vector(&mut self, name: &str, elements: u64, parallel: Parallel) {
        self.add(name, Role::Vector(parallel), elements, 1, 1);
    }

    /// A matrix that stays in the model's dtype, whole on every rank.
    pub(super) fn plain(&mut self, name: &str, rows: u64, columns: u64) {
        self.add(name, Role::Plain, rows, columns, 1);
    }

    /// A norm over `width` elements, of the kind that `norm_type` names.
    pub(super) fn norm(&mut self, name: &str, norm_type: Option<&str>, width: u64) {
        self.vector(name, norm_elements(norm_type, width), Parallel::Replicated);
    }
}

/// Elements of a norm over `width`: a scale, and for `layernorm` a shift too.
pub(super) fn norm_elements(norm_type: Option<&str>, width: u64) -> u64 {
    match norm_type {
        Some("layernorm") => width.saturating_mul(2),
        Some("none") => 0,
        _ => width,
    }
}
