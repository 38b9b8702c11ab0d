//! The admission policy's expressions, evaluated as the API server would: on the Deployment and on its scale.

use cel::{Context, Program, Value as Cel};
use serde_json::Value;
use std::collections::BTreeMap;

/// What an expression of the policy gives, with these variables.
fn evaluate(expression: &str, name: &str, fields: &BTreeMap<&str, BTreeMap<&str, i64>>) -> Cel {
    let mut context = Context::default();
    match name {
        "variables" => context.add_variable(name, &fields["spec"]).unwrap(),
        _ => context.add_variable(name, fields).unwrap(),
    }
    Program::compile(expression).unwrap().execute(&context).unwrap()
}

/// Whether the policy lets an object with this `spec.replicas` pass, and what it says if not.
fn verdict(replicas: Option<i64>) -> Result<(), String> {
    let documents = &crate::any_set().documents;
    let policy = documents.iter().find(|document| document.template == "admission-policy.yaml.j2").unwrap();
    let expression = |pointer: &str| policy.body.pointer(pointer).and_then(Value::as_str).unwrap();
    let object = BTreeMap::from([("spec", replicas.map(|count| ("replicas", count)).into_iter().collect())]);
    let Cel::Int(count) = evaluate(expression("/spec/variables/0/expression"), "object", &object) else {
        panic!("the variable is not an integer")
    };
    let variables = BTreeMap::from([("spec", BTreeMap::from([("replicas", count)]))]);
    let verdict = evaluate(expression("/spec/validations/0/expression"), "variables", &variables);
    if matches!(verdict, Cel::Bool(true)) {
        return Ok(());
    }
    assert!(matches!(verdict, Cel::Bool(false)), "the verdict is {verdict:?}");
    let message = evaluate(expression("/spec/validations/0/messageExpression"), "variables", &variables);
    let Cel::String(message) = message else { panic!("the message is {message:?}") };
    Err(message.to_string())
}

#[test]
fn even_sizes_are_refused_and_both_neighbours_offered() {
    for size in 1..=9 {
        let expected = if size % 2 == 1 {
            Ok(())
        } else {
            Err(format!(
                "replicas must be odd, not {size}: {size} members survive no more failures than {0} and need one more \
                 for a quorum; use {0} or {1}",
                size - 1,
                size + 1
            ))
        };
        assert_eq!(verdict(Some(size)), expected);
    }
    // A scale of 0 comes without a number; a Deployment never does, its default is filled in before.
    for nought in [Some(0), None].map(|size| verdict(size).unwrap_err()) {
        assert!(nought.ends_with("use 1, or remove it with zkprov destroy"), "{nought}");
    }
}

/// The API server drops a message that spans lines, and says nothing in its place but the expression.
#[test]
fn the_message_is_one_line() {
    assert!((0..10).step_by(2).all(|size| !verdict(Some(size)).unwrap_err().contains('\n')));
}
