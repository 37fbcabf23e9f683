//! What every route may answer beside its own words: said once, and put into the specification of each.

use utoipa::openapi::path::{Operation, Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::{ObjectBuilder, SchemaType, Type};
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{ContentBuilder, OpenApi, Ref, Required, ResponseBuilder};

use crate::middleware::{self, TIMEOUT};

/// What the middleware does, in every operation that passes it.
pub fn complete(mut specification: OpenApi) -> OpenApi {
    let components = specification.components.get_or_insert_default();
    components.add_security_scheme("key", SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer)));
    for (path, item) in &mut specification.paths.paths {
        for operation in [&mut item.get, &mut item.post, &mut item.delete].into_iter().flatten() {
            operation.parameters.get_or_insert_default().push(timeout().into());
            answer(operation, "400", "`malformed-request`");
            answer(operation, "504", "`timeout`");
            if operation.request_body.is_some() {
                answer(operation, "408", "`slow-body`");
            }
            if !middleware::is_open(path) {
                answer(operation, "401", "`unauthorized`, where keys are asked for");
                answer(operation, "429", "`rate-limited`, and `queue-full` where no memory is left for a long answer");
                // either is enough: most services are run without keys
                let none = SecurityRequirement::default();
                operation.security = Some(vec![none, SecurityRequirement::new("key", [""; 0])]);
            }
        }
    }
    specification
}

/// Adds an answer to those that the route itself names.
fn answer(operation: &mut Operation, status: &str, description: &str) {
    let content = ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).build();
    let response = ResponseBuilder::new().description(description).content("application/problem+json", content).build();
    operation.responses.responses.entry(status.to_owned()).or_insert_with(|| response.into());
}

fn timeout() -> Parameter {
    let number = ObjectBuilder::new().schema_type(SchemaType::Type(Type::Integer)).minimum(Some(1)).build();
    ParameterBuilder::new()
        .name(TIMEOUT.as_str())
        .parameter_in(ParameterIn::Header)
        .required(Required::False)
        .description(Some("Milliseconds that you wait at most; no longer than the service lets you"))
        .schema(Some(number))
        .build()
}
