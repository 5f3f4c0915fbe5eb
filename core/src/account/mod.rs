//! Where the account, its credentials and the service URL come from: the caller, the environment or a
//! `config.json`. Reads files and variables, sends nothing.

mod config_file;
mod network;
mod service_url;
mod settings;
mod values;
mod variables;

pub use config_file::read_configuration;
pub(crate) use network::NetworkSettings;
pub(crate) use service_url::ServiceUrl;
pub use service_url::{DEFAULT_SERVICE_URL, normalize_service_url};
pub use settings::{Need, Settings, Source};
