//! `lbctl migrate`: what people have in the words of the Gateway API.

use super::output::{Exit, Format, Output, print, print_json, say};
use anyhow::{Context, Result};
use lb_kube::{Cluster, Coverage, Migrated, Objects, Options, World, migrate};
use serde::Serialize;
use serde_json::Value;
use std::{
    fmt::Write as _,
    fs,
    io::{self, Read},
    path::PathBuf,
    sync::Arc,
};

/// What is migrated.
#[derive(clap::Subcommand)]
pub(super) enum What {
    /// Print HTTPRoutes and Gateways that say what Ingresses with ingress-nginx's annotations say.
    Ingress(Arguments),
}

/// Arguments of `lbctl migrate ingress`.
#[derive(clap::Args)]
#[command(after_help = "\
Reads manifests (YAML or JSON, also lists), prints manifests; what is covered, what has no words in the
Gateway API and what is refused stands above each as comments. Needs no daemon. Exit codes: 0 all is
covered, 1 the manifests cannot be read, 3 some annotation is refused.

Example:
  kubectl get ingresses,ingressclasses,services -A -o json | lbctl migrate ingress -")]
pub(super) struct Arguments {
    /// Files of manifests; `-` is standard input.
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// Class whose Ingresses are read, beside those of ours; may be given again.
    #[arg(long = "class", value_name = "NAME", default_value = "nginx")]
    classes: Vec<String>,
}

/// The JSON that is printed.
#[derive(Serialize)]
struct Report<'a> {
    ingresses: &'a [Migrated],
    gateways: &'a [Value],
}

/// Prints the same in the words of the Gateway API.
pub(super) fn run(output: Output, what: &What) -> Result<Exit> {
    let What::Ingress(arguments) = what;
    let mut objects = Objects::default();
    for file in &arguments.files {
        let name = file.display();
        let text = read(file).with_context(|| format!("{name} cannot be read"))?;
        for object in manifests(&text).with_context(|| format!("{name} is no manifest"))? {
            objects.insert(object).with_context(|| format!("in {name}"))?;
        }
    }
    let options = Options {
        ingress_classes: arguments.classes.iter().cloned().collect(),
        takes_unclassed_ingresses: true,
        ..Options::default()
    };
    let cluster = Cluster { name: "cluster".to_owned(), weight: 100, objects };
    let world = World { options: Arc::new(options), clusters: vec![cluster], ..World::default() };
    let (ingresses, gateways) = migrate(&world);
    if output.format == Format::Json {
        print_json(&Report { ingresses: &ingresses, gateways: &gateways })?;
    } else {
        print(&text(&ingresses, &gateways)?)?;
    }
    if ingresses.is_empty() {
        say("lbctl", "there is no Ingress of these classes (see --class)");
    }
    let mut all = ingresses.iter().flat_map(|it| it.annotations.values());
    let is_refused = all.any(|it| matches!(it, Coverage::Refused(_)));
    Ok(if is_refused { Exit::Degraded } else { Exit::Done })
}

fn read(file: &PathBuf) -> io::Result<String> {
    if file.as_os_str() != "-" {
        return fs::read_to_string(file);
    }
    let mut text = String::new();
    io::stdin().read_to_string(&mut text)?;
    Ok(text)
}

/// Documents, those of lists one by one.
fn manifests(text: &str) -> Result<Vec<Value>> {
    let documents: Vec<Value> = serde_saphyr::from_multiple(text)?;
    let mut manifests = Vec::new();
    for mut document in documents.into_iter().filter(|it| !it.is_null()) {
        match document.get_mut("items").map(Value::take) {
            Some(Value::Array(items)) => manifests.extend(items),
            _ => manifests.push(document),
        }
    }
    Ok(manifests)
}

fn text(ingresses: &[Migrated], gateways: &[Value]) -> Result<String> {
    let mut text = String::new();
    for one in ingresses {
        writeln!(text, "# Ingress {}", one.ingress)?;
        for (name, coverage) in &one.annotations {
            match coverage {
                Coverage::Covered => writeln!(text, "#   {name}: covered")?,
                Coverage::Needless => writeln!(text, "#   {name}: not needed here")?,
                Coverage::Refused(why) => writeln!(text, "#   {name}: REFUSED, {why}")?,
            }
        }
        for what in &one.without_equivalent {
            writeln!(text, "#   the Gateway API has no words for: {what}")?;
        }
        for manifest in &one.manifests {
            write!(text, "---\n{}", serde_saphyr::to_string(manifest)?)?;
        }
    }
    for manifest in gateways {
        write!(text, "---\n{}", serde_saphyr::to_string(manifest)?)?;
    }
    Ok(text)
}
