//! What the loop of adaptation is given: a training graph with its validation.

use super::{step::Step, validate::Validator};
use homolog_adapt::{Batch, Error, Gradients, Objective, Parameter, Parameters, Validation};
use homolog_backbone::checkpoint::Tensor;

/// Gradients by ONNX Runtime, PCK by the evaluation's runner.
pub struct Network {
    /// The training graph.
    pub step: Step,
    /// The pairs that decide which parameters are kept.
    pub validator: Validator,
}

impl Objective for Network {
    fn gradients(&mut self, parameters: &Parameters, batch: &Batch, seed: u64) -> Result<Gradients, Error> {
        self.step.run(parameters, batch, seed)
    }

    fn validate(&mut self, parameters: &Parameters) -> Result<Validation, Error> {
        self.validator.validate(parameters)
    }
}

/// Parameters as a training graph lists them. Weight decay acts on the matrices of products and on kernels; biases, norms,
/// LayerScale, positions and tokens have none.
pub fn parameters(tensors: &[(String, Tensor)]) -> Parameters {
    let one = |(name, tensor): &(String, Tensor)| Parameter {
        name: name.clone(),
        shape: tensor.shape.clone(),
        data: tensor.data.clone(),
        decay: name.ends_with(".weight") && tensor.shape.len() > 1 && !name.contains("norm"),
    };
    Parameters::new(tensors.iter().map(one).collect())
}
