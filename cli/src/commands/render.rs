//! `zkprov render`: request bodies and manifests, offline.

use crate::args::{Render, RenderFormat, Stage};
use crate::context::Context;
use crate::error::{CommandError, Exit};
use crate::{input, pipeline};
use serde_json::{Value, json};
use std::io::Write as _;
use zkprov_plans::document::Document;
use zkprov_plans::resource::ResourceKind;

pub(super) fn run(context: &Context, args: &Render) -> Result<Exit, CommandError> {
    let specs = input::specs(context)?;
    let desired = pipeline::render(context, &specs)?;
    let documents: Vec<&Document> =
        desired.iter().flat_map(|one| &one.documents).filter(|one| wanted(args.stage, one.id.kind)).collect();
    match &args.out_dir {
        Some(directory) => {
            std::fs::create_dir_all(directory).map_err(|error| {
                CommandError::failed(&format!("creating {}", directory.display()), &error)
            })?;
            for document in documents {
                let ending = match args.format {
                    RenderFormat::Yaml => "yaml",
                    RenderFormat::Json => "json",
                };
                let name = format!("{}.{ending}", document.id.to_string().replace(['/', ':'], "_"));
                let text = one(args.format, document)?;
                input::write_atomically(context, &directory.join(name), |file| {
                    file.write_all(text.as_bytes())
                })?;
            }
        }
        None => match args.format {
            RenderFormat::Json => {
                let list: Vec<Value> = documents
                    .iter()
                    .map(|one| json!({ "id": one.id, "template": one.template, "body": one.body }))
                    .collect();
                context.ui.result_line(&format!("{:#}", Value::Array(list)))?;
            }
            RenderFormat::Yaml => {
                let texts: Result<Vec<String>, _> =
                    documents.iter().map(|document| one(args.format, document)).collect();
                context.ui.result(&texts?.concat())?;
            }
        },
    }
    Ok(Exit::Done)
}

const fn wanted(stage: Stage, kind: ResourceKind) -> bool {
    match stage {
        Stage::All => true,
        Stage::Cloud => !matches!(kind, ResourceKind::Kube(_) | ResourceKind::Ensemble),
        Stage::Kubernetes => matches!(kind, ResourceKind::Kube(_)),
    }
}

fn one(format: RenderFormat, document: &Document) -> Result<String, CommandError> {
    match format {
        RenderFormat::Json => Ok(format!("{:#}\n", document.body)),
        RenderFormat::Yaml => {
            let yaml = serde_saphyr::to_string(&document.body)
                .map_err(|error| CommandError::failed(&format!("printing {}", document.id), &error))?;
            Ok(format!("---\n# {} ({})\n{}\n", document.id, document.template, yaml.trim_end()))
        }
    }
}
