//! ValidatingAdmissionPolicies, evaluated for real.

use super::failure::{Cause, Failure};
use super::kind::Kind;
use super::selectors::selects;
use super::store::Store;
use super::tree;
use cel::objects::{Key, Map};
use cel::{Context, Program};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::Arc;

/// A write that asks for admission.
#[derive(Debug)]
pub(super) struct Attempt<'a> {
    kind: Kind,
    operation: &'static str,
    subresource: Option<&'a str>,
    /// What is written: the object, or the Scale.
    object: &'a Value,
    old: Option<&'a Value>,
}

impl<'a> Attempt<'a> {
    /// A new object.
    pub(super) fn create(kind: Kind, object: &'a Value) -> Self {
        Self { kind, operation: "CREATE", subresource: None, object, old: None }
    }

    /// A changed object, or one of its subresources.
    pub(super) fn update(
        kind: Kind,
        object: &'a Value,
        old: &'a Value,
        subresource: Option<&'a str>,
    ) -> Self {
        Self { kind, operation: "UPDATE", subresource, object, old: Some(old) }
    }

    /// `deployments/scale`.
    fn resource(&self) -> String {
        let plural = self.kind.info().plural;
        self.subresource.map_or_else(|| plural.to_owned(), |sub| format!("{plural}/{sub}"))
    }

    fn request(&self) -> Value {
        let info = self.kind.info();
        let resource = json!({"group": info.group, "version": "v1", "resource": info.plural});
        let kind = if self.subresource == Some("scale") {
            json!({"group": "autoscaling", "version": "v1", "kind": "Scale"})
        } else {
            json!({"group": info.group, "version": "v1", "kind": info.kind})
        };
        let mut request = json!({
            "kind": kind, "resource": resource, "requestKind": kind, "requestResource": resource,
            "name": tree::name(self.object), "namespace": tree::namespace(self.object), "operation": self.operation,
            "userInfo": {"username": "admin", "groups": ["system:masters", "system:authenticated"]}, "dryRun": false,
        });
        // Absent, not empty, on the object itself.
        if let Some(subresource) = self.subresource {
            tree::put(&mut request, "/subResource", subresource);
            tree::put(&mut request, "/requestSubResource", subresource);
        }
        request
    }
}

/// Asks every bound policy.
///
/// # Errors
/// What the first refusing policy says, with the code of its reason.
pub(super) fn admit(store: &Store, attempt: &Attempt<'_>) -> Result<(), Failure> {
    for binding in store.list(Kind::ValidatingAdmissionPolicyBinding, None) {
        let policy_name = tree::text(binding, "/spec/policyName").unwrap_or_default();
        let Some(policy) = store.get(Kind::ValidatingAdmissionPolicy, "", policy_name) else { continue };
        let denies = tree::items(binding, "/spec/validationActions").iter().any(|action| action == "Deny");
        let bound =
            binding.pointer("/spec/matchResources").is_none_or(|wanted| selected(store, wanted, attempt));
        let constrained =
            policy.pointer("/spec/matchConstraints").is_some_and(|wanted| selected(store, wanted, attempt));
        if denies && bound && constrained {
            evaluate(store, policy, binding, attempt)?;
        }
    }
    Ok(())
}

/// Whether `MatchResources` select the attempt.
fn selected(store: &Store, wanted: &Value, attempt: &Attempt<'_>) -> bool {
    let rules = |list: &str| tree::items(wanted, list);
    let included = wanted.get("resourceRules").is_none()
        || rules("/resourceRules").iter().any(|rule| rule_matches(rule, attempt));
    let excluded = rules("/excludeResourceRules").iter().any(|rule| rule_matches(rule, attempt));
    let home = if attempt.kind == Kind::Namespace {
        Some(attempt.object)
    } else {
        store.get(Kind::Namespace, "", tree::namespace(attempt.object))
    };
    let in_namespace = match (wanted.get("namespaceSelector"), home) {
        (Some(selector), Some(home)) => selects(selector, home),
        (Some(_) | None, _) => true,
    };
    let by_object = wanted.get("objectSelector").is_none_or(|selector| {
        selects(selector, attempt.object) || attempt.old.is_some_and(|old| selects(selector, old))
    });
    included && !excluded && in_namespace && by_object
}

fn rule_matches(rule: &Value, attempt: &Attempt<'_>) -> bool {
    let info = attempt.kind.info();
    let lists = |pointer: &str, wanted: &[&str]| {
        let mut words = tree::items(rule, pointer).iter().filter_map(Value::as_str);
        words.any(|word| wanted.contains(&word))
    };
    let resource = attempt.resource();
    let part = attempt.subresource.map(|sub| format!("*/{sub}")).unwrap_or_default();
    let whole = format!("{}/*", info.plural);
    let resources: &[&str] = match attempt.subresource {
        None => &[&resource, &whole, "*", "*/*"],
        Some(_) => &[&resource, &whole, &part, "*/*"],
    };
    let names = tree::items(rule, "/resourceNames");
    let scope = tree::text(rule, "/scope").unwrap_or("*");
    lists("/apiGroups", &[info.group, "*"])
        && lists("/apiVersions", &["v1", "*"])
        && lists("/operations", &[attempt.operation, "*"])
        && lists("/resources", resources)
        && (names.is_empty() || names.iter().any(|name| name == tree::name(attempt.object)))
        && (scope == "*" || (scope == "Namespaced") == info.namespaced)
}

fn evaluate(store: &Store, policy: &Value, binding: &Value, attempt: &Attempt<'_>) -> Result<(), Failure> {
    let mut scope = Scope::new(store, attempt);
    let refuse = |reason: &str, message: &str| {
        let text = format!(
            "ValidatingAdmissionPolicy '{}' with binding '{}' denied request: {message}",
            tree::name(policy),
            tree::name(binding)
        );
        let (code, reason) = match reason {
            "Unauthorized" => (401, "Unauthorized"),
            "Forbidden" => (403, "Forbidden"),
            "RequestEntityTooLarge" => (413, "RequestEntityTooLarge"),
            _ => (422, "Invalid"),
        };
        Err(Failure::refused(attempt.kind, tree::name(attempt.object), code, reason, &text))
    };
    let fails = tree::text(policy, "/spec/failurePolicy") != Some("Ignore");
    for condition in tree::items(policy, "/spec/matchConditions") {
        match scope.eval(tree::text(condition, "/expression").unwrap_or_default()) {
            Ok(Value::Bool(true)) => {}
            Ok(_) => return Ok(()),
            Err(error) if fails => return refuse("Invalid", &error),
            Err(_) => return Ok(()),
        }
    }
    scope.define_variables(policy);
    for validation in tree::items(policy, "/spec/validations") {
        let expression = tree::text(validation, "/expression").unwrap_or_default();
        let reason = tree::text(validation, "/reason").unwrap_or("Invalid");
        match scope.eval(expression) {
            Ok(Value::Bool(true)) => {}
            Ok(_) => return refuse(reason, &scope.message(validation, expression)),
            Err(error) if fails => {
                return refuse(reason, &format!("expression '{expression}' resulted in error: {error}"));
            }
            Err(_) => {}
        }
    }
    Ok(())
}

/// The variables that expressions see.
struct Scope {
    names: Vec<(&'static str, Value)>,
    variables: serde_json::Map<String, Value>,
}

impl Scope {
    fn new(store: &Store, attempt: &Attempt<'_>) -> Self {
        let home = store.get(Kind::Namespace, "", tree::namespace(attempt.object)).cloned();
        let names = vec![
            ("object", attempt.object.clone()),
            ("oldObject", attempt.old.cloned().unwrap_or(Value::Null)),
            ("request", attempt.request()),
            ("namespaceObject", home.unwrap_or(Value::Null)),
            ("params", Value::Null),
        ];
        Self { names, variables: serde_json::Map::new() }
    }

    /// Variables see those before them. One that fails is missing, and so fails what uses it.
    fn define_variables(&mut self, policy: &Value) {
        for variable in tree::items(policy, "/spec/variables") {
            let name = tree::text(variable, "/name").unwrap_or_default();
            if let Ok(value) = self.eval(tree::text(variable, "/expression").unwrap_or_default()) {
                self.variables.insert(name.to_owned(), value);
            }
        }
    }

    fn eval(&self, expression: &str) -> Result<Value, String> {
        let program = Program::compile(expression).map_err(|error| error.to_string())?;
        let mut context = Context::default();
        for (name, value) in &self.names {
            context.add_variable_from_value(*name, to_cel(value));
        }
        context.add_variable_from_value("variables", to_cel(&Value::Object(self.variables.clone())));
        let value = program.execute(&context).map_err(|error| error.to_string())?;
        value.json().map_err(|error| error.to_string())
    }

    /// What a failed validation says: its message expression if that works, else its message, else the expression.
    fn message(&self, validation: &Value, expression: &str) -> String {
        let computed = tree::text(validation, "/messageExpression").and_then(|text| self.eval(text).ok());
        let computed =
            computed.as_ref().and_then(Value::as_str).map(str::trim).filter(|text| !text.is_empty());
        let fixed = tree::text(validation, "/message").map(str::trim);
        computed.or(fixed).map_or_else(|| format!("failed expression: {expression}"), str::to_owned)
    }
}

/// JSON as CEL sees Kubernetes objects: whole numbers are `int`, never `uint`.
fn to_cel(value: &Value) -> cel::Value {
    match value {
        Value::Null => cel::Value::Null,
        Value::Bool(value) => cel::Value::Bool(*value),
        Value::Number(number) => match number.as_i64() {
            Some(whole) => cel::Value::Int(whole),
            None => cel::Value::Float(number.as_f64().unwrap_or(f64::NAN)),
        },
        Value::String(text) => cel::Value::String(Arc::new(text.clone())),
        Value::Array(list) => cel::Value::List(Arc::new(list.iter().map(to_cel).collect())),
        Value::Object(map) => {
            let pairs: HashMap<Key, cel::Value> =
                map.iter().map(|(key, value)| (Key::from(key.as_str()), to_cel(value))).collect();
            cel::Value::Map(Map { map: Arc::new(pairs) })
        }
    }
}

/// Checks the expressions of a policy.
pub(super) fn check_policy(policy: &Value, causes: &mut Vec<Cause>) {
    if policy.pointer("/spec/matchConstraints").is_none() {
        causes.push(Cause::required("spec.matchConstraints", ""));
    }
    let validations = tree::items(policy, "/spec/validations");
    if validations.is_empty() && tree::items(policy, "/spec/auditAnnotations").is_empty() {
        let why = "validations or auditAnnotations must contain at least one item";
        causes.push(Cause::required("spec.validations", why));
    }
    let mut check = |field: String, text: Option<&str>, needed: bool| match text.map(Program::compile) {
        Some(Err(error)) => {
            let why = format!("compilation failed: ERROR: {error}");
            causes.push(Cause::invalid(field, &json!(text), &why));
        }
        None if needed => causes.push(Cause::required(field, "expression is not specified")),
        Some(Ok(_)) | None => {}
    };
    for (list, keys) in [
        ("variables", &["expression"] as &[&str]),
        ("matchConditions", &["expression"]),
        ("validations", &["expression", "messageExpression"]),
    ] {
        for (index, item) in tree::items(policy, &format!("/spec/{list}")).iter().enumerate() {
            for key in keys {
                let text = tree::text(item, &format!("/{key}"));
                check(format!("spec.{list}[{index}].{key}"), text, *key == "expression");
            }
        }
    }
}
