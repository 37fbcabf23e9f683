//! Where log lines and traces go, and how they look.

use std::io::IsTerminal;

use opentelemetry::trace::TracerProvider;
use opentelemetry_otlp::{SpanExporter, WithExportConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer};

use crate::config::{Config, ConfigError, LogFormat};

/// Traces that are on their way; sent when dropped.
pub struct Traces(Option<SdkTracerProvider>);

impl Drop for Traces {
    fn drop(&mut self) {
        if let Some(provider) = self.0.take()
            && let Err(error) = provider.shutdown()
        {
            tracing::warn!("the last traces could not be sent: {error}");
        }
    }
}

/// Starts logging to standard error, where standard output is for answers, and sending spans where one is configured to.
///
/// # Errors
/// [`ConfigError::Field`].
pub fn start(config: &Config) -> Result<Traces, ConfigError> {
    let field = |field: &str, reason: String| ConfigError::Field { field: field.to_owned(), reason };
    // ONNX Runtime says at level info what others say at trace, and what sends spans must not make more of them; naming them in the
    // setting brings them back
    let quiet = "ort=warn,hyper=warn,hyper_util=warn,reqwest=warn,opentelemetry=warn,opentelemetry_sdk=warn";
    let filter = EnvFilter::try_new(format!("{quiet},{}", config.log));
    let filter = filter.map_err(|error| field("log", error.to_string()))?;
    // colours are for eyes: in a file or a pipe they are noise
    let colours = std::io::stderr().is_terminal();
    let lines = tracing_subscriber::fmt::layer().with_ansi(colours).with_writer(std::io::stderr);
    let lines = match config.log_format {
        LogFormat::Pretty => lines.boxed(),
        LogFormat::Json => lines.json().boxed(),
    };
    let provider = config.otlp_endpoint.as_deref().map(provider).transpose();
    let provider = provider.map_err(|reason| field("otlp_endpoint", reason))?;
    let spans =
        provider.as_ref().map(|provider| tracing_opentelemetry::layer().with_tracer(provider.tracer("homolog")));
    if provider.is_some() {
        // a caller's trace goes on in ours
        opentelemetry::global::set_text_map_propagator(TraceContextPropagator::new());
    }
    // a second start, which only tests make, would change nothing
    let _ = tracing_subscriber::registry().with(filter).with(lines).with(spans).try_init();
    Ok(Traces(provider))
}

fn provider(endpoint: &str) -> Result<SdkTracerProvider, String> {
    let exporter = SpanExporter::builder().with_http().with_endpoint(endpoint).build();
    let exporter = exporter.map_err(|error| error.to_string())?;
    let resource = Resource::builder().with_service_name("homolog").build();
    Ok(SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource).build())
}
