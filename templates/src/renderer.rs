//! The template engine, set up so that a value cannot leave its place, and the documents it makes.

use crate::catalogue::{self, BUILT_IN, Entry, STARTUP_SCRIPT};
use crate::context::Context;
use crate::error::RenderError;
use crate::placement;
use crate::quote::Language;
use crate::{Overrides, naming};
use minijinja::value::Serde;
use minijinja::{
    AutoEscape, Environment, Error, ErrorKind, Output, State, UndefinedBehavior, Value, syntax::SyntaxConfig,
};
use zkprov_plans::document::{Desired, Document};
use zkprov_plans::resource::{ResourceId, ResourceKind, Scope};
use zkprov_plans::spec::{FileServer, ValidSpec};

/// The line of the start-up script that holds its own digest, and is left out of it.
const GENERATION_LINE: &str = "GENERATION=";

/// The templates, parsed and checked: the built-in ones and what overrides them.
pub struct Templates {
    environment: Environment<'static>,
}

impl std::fmt::Debug for Templates {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Templates").finish_non_exhaustive()
    }
}

impl Templates {
    /// The built-in templates with these in place of their namesakes.
    ///
    /// # Errors
    /// An override without a built-in template of its name, a syntax error, or an interpolation in a place where its
    /// quotes would not protect it.
    pub fn new(overrides: &Overrides) -> Result<Self, RenderError> {
        if let Some(unknown) = overrides.keys().find(|name| !catalogue::names().contains(&name.as_str())) {
            let known = catalogue::names().join(", ");
            let reason = "no built-in template has this name, so nothing would use it";
            return Err(RenderError::whole(
                unknown,
                reason,
                format!("rename or remove it; the templates are {known}"),
            ));
        }
        let mut environment = environment();
        for (name, built_in) in BUILT_IN {
            let source = overrides.get(*name).map_or(*built_in, String::as_str);
            let language = language(name)?;
            placement::check(language, source).map_err(|misplaced| RenderError {
                template: (*name).to_owned(),
                place: crate::Place::Template(misplaced.line),
                reason: misplaced.reason.to_owned(),
                fix: misplaced.fix.to_owned(),
            })?;
            environment
                .add_template_owned(*name, source.to_owned())
                .map_err(|error| RenderError::engine(name, &error))?;
        }
        Ok(Self { environment })
    }

    /// Everything that the spec asks for, in the order of creation.
    ///
    /// # Errors
    /// A template that is wrong, or that makes something other than the resource it stands for.
    pub fn render(&self, spec: &ValidSpec) -> Result<Desired, RenderError> {
        let context = Context::new(spec);
        let script = match &spec.file_server {
            FileServer::SingleNode(_) => self.script(&context)?,
            FileServer::Filestore(_) | FileServer::External(_) => Script::default(),
        };
        let context = Value::from(Serde(context.with_script(&script.text, &script.generation)));
        let documents = catalogue::entries(spec).into_iter().map(|entry| self.document(entry, &context));
        Ok(Desired { documents: documents.collect::<Result<_, _>>()? })
    }

    fn document(&self, entry: Entry, context: &Value) -> Result<Document, RenderError> {
        let Entry { id, template } = entry;
        // Each member's claim is made by one template: which one it is for, its name says.
        let context = minijinja::context! { resource => &id.name, ..context.clone() };
        let text = self.text(template, &context)?;
        let body = parse(template, &text)?;
        identity(template, &text, &id, &body)?;
        Ok(Document { id, template: template.to_owned(), body })
    }

    fn text(&self, template: &str, context: &Value) -> Result<String, RenderError> {
        let rendered = self.environment.get_template(template).and_then(|found| found.render(context));
        rendered.map_err(|error| RenderError::engine(template, &error))
    }

    /// The start-up script. Its generation is a digest of all of it but the line that says so: the VM reports with it,
    /// and the report of an earlier script is told from this one's.
    fn script(&self, context: &Context<'_>) -> Result<Script, RenderError> {
        let draft = self.text(STARTUP_SCRIPT, &Value::from(Serde(context)))?;
        if !draft.lines().any(|line| line.starts_with(GENERATION_LINE)) {
            return Err(RenderError::whole(
                STARTUP_SCRIPT,
                "the script has no GENERATION line: its report could not be told from an older script's",
                "keep the line GENERATION={{ generation }}",
            ));
        }
        let kept: Vec<&str> = draft.lines().filter(|line| !line.starts_with(GENERATION_LINE)).collect();
        let generation = naming::digest16(&kept.join("\n"));
        let mut text = String::with_capacity(draft.len() + generation.len());
        for line in draft.lines() {
            if line.starts_with(GENERATION_LINE) {
                text.push_str(&format!("{GENERATION_LINE}'{generation}'"));
            } else {
                text.push_str(line);
            }
            text.push('\n');
        }
        Ok(Script { text, generation })
    }
}

#[derive(Default)]
struct Script {
    text: String,
    generation: String,
}

fn environment() -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    let mut syntax = SyntaxConfig::builder();
    syntax.keep_trailing_newline(true).trim_blocks(true).lstrip_blocks(true);
    environment.set_syntax(syntax.build().unwrap_or_default());
    environment.set_auto_escape_callback(|name| {
        Language::of(name).map_or(AutoEscape::None, |language| AutoEscape::Custom(language.name().into()))
    });
    environment.set_formatter(format_value);
    environment.add_function("fail", |reason: String| -> Result<Value, Error> {
        Err(Error::new(ErrorKind::InvalidOperation, reason))
    });
    environment
}

/// Puts a value out as a literal of the template's language. There is no way around it: `safe` changes nothing here.
fn format_value(out: &mut Output, state: &mut State, value: &Value) -> Result<(), Error> {
    let AutoEscape::Custom(name) = state.auto_escape() else { return Err(quoting_off()) };
    let language = Language::named(name).ok_or_else(quoting_off)?;
    out.write_str(&language.quote(value)?).map_err(Error::from)
}

fn quoting_off() -> Error {
    Error::new(ErrorKind::BadEscape, "quoting cannot be turned off or changed: remove the autoescape block")
}

fn language(template: &str) -> Result<Language, RenderError> {
    Language::of(template).ok_or_else(|| {
        RenderError::whole(template, "the name tells no language", "end it in .json.j2, .yaml.j2 or .sh.j2")
    })
}

fn parse(template: &str, text: &str) -> Result<serde_json::Value, RenderError> {
    match language(template)? {
        Language::Json => serde_json::from_str(text).map_err(|error| {
            RenderError::output(template, text, error.line(), format!("not valid JSON: {error}"))
        }),
        Language::Yaml => serde_saphyr::from_str(text).map_err(|error| {
            let line = error.location().and_then(|at| usize::try_from(at.line()).ok()).unwrap_or(1);
            let message = error.without_snippet().to_string();
            RenderError::output(template, text, line, format!("not valid YAML: {message}"))
        }),
        Language::Shell => {
            Err(RenderError::whole(template, "a script is not a document", "use it in a document"))
        }
    }
}

/// The body has to be the resource that it stands for: a template that renames things would make the plan compare one
/// resource and change another.
fn identity(
    template: &str,
    text: &str,
    id: &ResourceId,
    body: &serde_json::Value,
) -> Result<(), RenderError> {
    let expect = |pointer: &str, wanted: &str| match body.pointer(pointer).and_then(serde_json::Value::as_str)
    {
        Some(found) if found == wanted => Ok(()),
        found => {
            let key = pointer.trim_start_matches('/').replace('/', ".");
            let found = found.map_or_else(|| "nothing".to_owned(), |found| format!("`{found}`"));
            let line = 1 + text.lines().position(|line| line.contains("name")).unwrap_or_default();
            let reason =
                format!("{key} has to be `{wanted}`, the name this resource is known by, and is {found}");
            Err(RenderError::output(template, text, line, reason))
        }
    };
    match (id.kind, &id.scope) {
        (ResourceKind::Kube(kind), Scope::Kube { namespace, .. }) => {
            let api = kind.api();
            expect("/apiVersion", api.api_version)?;
            expect("/kind", api.kind)?;
            expect("/metadata/name", &id.name)?;
            if api.namespaced { expect("/metadata/namespace", namespace) } else { Ok(()) }
        }
        // Named by a query parameter, or not an API object at all.
        (ResourceKind::FilestoreInstance | ResourceKind::Ensemble, _) if body.is_object() => Ok(()),
        (ResourceKind::FilestoreInstance | ResourceKind::Ensemble, _) => {
            Err(RenderError::output(template, text, 1, "the document is not an object"))
        }
        (
            ResourceKind::Address
            | ResourceKind::Disk
            | ResourceKind::SnapshotSchedule
            | ResourceKind::Firewall
            | ResourceKind::Instance
            | ResourceKind::Cluster
            | ResourceKind::NodePool
            | ResourceKind::Kube(_),
            _,
        ) => expect("/name", &id.name),
    }
}

#[cfg(test)]
mod option_tests;
#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "a shell reads what was rendered")]
mod tests;
