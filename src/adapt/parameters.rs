//! The tensors that training changes.

/// One of them.
#[derive(Clone, Debug, PartialEq)]
pub struct Parameter {
    /// Its name in the network, say `blocks.11.attn.q.weight`.
    pub name: String,
    /// Its shape, as the checkpoint has it.
    pub shape: Vec<usize>,
    /// Its values, row-major.
    pub data: Vec<f32>,
    /// Whether weight decay acts on it. Biases, norms and LayerScale have none.
    pub decay: bool,
}

/// All of them, in an order that does not change during a run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Parameters(Vec<Parameter>);

impl Parameters {
    /// These, in this order.
    pub fn new(parameters: Vec<Parameter>) -> Parameters {
        Parameters(parameters)
    }

    /// In their order.
    pub fn iter(&self) -> std::slice::Iter<'_, Parameter> {
        self.0.iter()
    }

    /// In their order, to be changed.
    pub fn iter_mut(&mut self) -> std::slice::IterMut<'_, Parameter> {
        self.0.iter_mut()
    }

    /// How many numbers are trained.
    pub fn count(&self) -> usize {
        self.0.iter().map(|parameter| parameter.data.len()).sum()
    }
}
