//! The catalog of a deployment: the views and checks that are compiled in, and what the environment adds.

use std::sync::Arc;

use flatten::catalog::{Catalog, Choices, InvalidCatalog, Tables};

include!(concat!(env!("OUT_DIR"), "/views.rs"));

/// Compiles the environment's choices: a deployment whose views or rules are wrong does not start.
pub(crate) fn compile(choices: Choices) -> Result<Arc<Catalog>, InvalidCatalog> {
    // Views that fill nothing must not show in the catalog's version: the command line leaves them out, too.
    let views = if choices.tables == Tables::Automatic { &[] } else { VIEWS };
    let views = views.iter().map(|(file, text)| ((*file).to_owned(), (*text).to_owned()));
    let (file, text) = CHECKS;
    let mut checks = vec![(file.to_owned(), text.to_owned())];
    checks.extend(choices.checks);
    Catalog::compile(Choices { views: views.collect(), checks, ..choices }).map(Arc::new)
}

#[cfg(test)]
mod tests {
    use flatten::catalog::Choices;

    use super::compile;

    fn checks(text: &str) -> Choices {
        Choices { checks: vec![("CHECKS".to_owned(), text.to_owned())], ..Choices::default() }
    }

    #[test]
    fn what_is_compiled_in_compiles_with_the_checks_of_the_environment() {
        let own = r#"[{"type":"Patient","path":"name.exists()","severity":"warn","message":"m"}]"#;
        let catalog = compile(checks(own)).unwrap();
        assert!(catalog.checks().iter().any(|check| check.name() == "Patient-1"));
        assert!(compile(checks("{}")).unwrap_err().to_string().starts_with("CHECKS: "));
    }
}
