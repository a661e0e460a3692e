//! What a kubeconfig file says, as far as an operator chooses from it.

use kube::config::Kubeconfig;

/// Contexts of a kubeconfig.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Contexts {
    /// Their names, in order of the file.
    pub names: Vec<String>,
    /// The one that counts unless another is named.
    pub current: Option<String>,
}

/// The contexts of a kubeconfig.
///
/// # Errors
/// The text is no kubeconfig, with the reason.
pub fn contexts(text: &str) -> Result<Contexts, String> {
    // The parser shows the place below; the file may hold secrets.
    let first = |error: String| error.lines().next().unwrap_or_default().to_owned();
    let config = Kubeconfig::from_yaml(text).map_err(|error| first(error.to_string()))?;
    let names = config.contexts.into_iter().map(|it| it.name).collect();
    Ok(Contexts { names, current: config.current_context })
}
