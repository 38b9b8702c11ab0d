//! What a server makes of requests: the checks that ZooKeeper's processors do, and the answers' bodies.

use super::acl::{self, Identity};
use super::jute::Writer;
use super::wire::{Change, Code, Question, op};
use crate::data::{Data, Operation, Transaction, Znode, parent};

/// Znodes of ZooKeeper's own.
const SPECIAL: [&str; 3] = ["/", "/zookeeper", "/zookeeper/quota"];

/// Whether a path is one: absolute, without empty or relative parts.
fn valid_path(path: &str) -> bool {
    let parts_are_names =
        || path.split('/').skip(1).all(|part| !matches!(part, "" | "." | "..") && !part.contains('\0'));
    path == "/" || (path.starts_with('/') && parts_are_names())
}

fn node<'d>(data: &'d Data, path: &str) -> Result<&'d Znode, Code> {
    data.nodes.get(path).ok_or(Code::NO_NODE)
}

fn permit(node: &Znode, permission: u32, who: &[Identity]) -> Result<(), Code> {
    if acl::allows(&node.acl, permission, who) { Ok(()) } else { Err(Code::NO_AUTH) }
}

fn expect_version(wanted: i32, version: u64) -> Result<(), Code> {
    let same = wanted == -1 || u64::try_from(wanted).is_ok_and(|wanted| wanted == version);
    if same { Ok(()) } else { Err(Code::BAD_VERSION) }
}

/// The operation that a change comes to on a tree, as the leader checks it.
pub(super) fn prepare(data: &Data, change: &Change, who: &[Identity]) -> Result<Operation, Code> {
    match change {
        Change::Create { path, data: content, acl, ephemeral, sequential } => {
            let list = acl::fixed(acl, who).ok_or(Code::INVALID_ACL)?;
            let above =
                parent(path).ok_or(if path == "/" { Code::NODE_EXISTS } else { Code::BAD_ARGUMENTS })?;
            let above = node(data, above)?;
            permit(above, acl::CREATE, who)?;
            let path = if *sequential { format!("{path}{:010}", above.cversion) } else { path.clone() };
            if !valid_path(&path) {
                return Err(Code::BAD_ARGUMENTS);
            }
            if data.nodes.contains_key(&path) {
                return Err(Code::NODE_EXISTS);
            }
            if above.owner != 0 {
                return Err(Code::NO_CHILDREN_FOR_EPHEMERALS);
            }
            let parent_cversion = data.next_cversion(&path);
            let list = if list == acl::open() { Vec::new() } else { list };
            let (data, ephemeral) = (content.clone(), *ephemeral);
            Ok(Operation::Create { path, data, acl: list, ephemeral, parent_cversion })
        }
        Change::Delete { path, version } => {
            let above = parent(path).filter(|_| !SPECIAL.contains(&path.as_str()));
            let above = node(data, above.ok_or(Code::BAD_ARGUMENTS)?)?;
            let found = node(data, path)?;
            permit(above, acl::DELETE, who)?;
            expect_version(*version, found.version)?;
            if data.nodes.child_count(path) > 0 {
                return Err(Code::NOT_EMPTY);
            }
            Ok(Operation::Delete { path: path.clone() })
        }
        Change::SetData { path, data: content, version } => {
            let found = checked(data, path)?;
            permit(found, acl::WRITE, who)?;
            expect_version(*version, found.version)?;
            Ok(data.change(path, content))
        }
        Change::SetAcl { path, acl, version } => {
            let list = acl::fixed(acl, who).ok_or(Code::INVALID_ACL)?;
            let found = checked(data, path)?;
            permit(found, acl::ADMIN, who)?;
            expect_version(*version, found.aversion)?;
            let list = if list == acl::open() { Vec::new() } else { list };
            Ok(Operation::SetAcl { path: path.clone(), acl: list, version: found.aversion + 1 })
        }
        Change::Check { path, version } => {
            let found = checked(data, path)?;
            permit(found, acl::READ, who)?;
            expect_version(*version, found.version)?;
            Ok(Operation::Check { path: path.clone(), version: *version })
        }
    }
}

fn checked<'d>(data: &'d Data, path: &str) -> Result<&'d Znode, Code> {
    if valid_path(path) { node(data, path) } else { Err(Code::BAD_ARGUMENTS) }
}

/// The one transaction that several changes come to, each on the tree that those before it leave; when one is
/// refused, a transaction that says so and changes nothing.
pub(super) fn prepare_multi(
    data: &Data,
    changes: &[Change],
    who: &[Identity],
    blank: &Transaction,
) -> Operation {
    let (mut tree, mut prepared) = (data.clone(), Vec::new());
    for (index, change) in changes.iter().enumerate() {
        match prepare(&tree, change, who) {
            Ok(operation) => {
                tree.carry_out(blank, &operation, &mut Vec::new());
                prepared.push(operation);
            }
            Err(code) => {
                let before = (0..index).map(|_| Code::OK);
                let after = (index + 1..changes.len()).map(|_| Code::RUNTIME_INCONSISTENCY);
                let codes = before.chain([code]).chain(after);
                return Operation::Multi(codes.map(|code| Operation::Error(code.0)).collect());
            }
        }
    }
    Operation::Multi(prepared)
}

/// The body of an answer to a change that was made, from the tree after it.
pub(super) fn changed(data: &Data, operation: &Operation, body: &mut Writer) {
    match operation {
        Operation::Create { path, .. } => {
            body.string(path);
        }
        Operation::SetData { path, .. } | Operation::SetAcl { path, .. } => write_stat(data, path, body),
        Operation::Multi(operations) => {
            for operation in operations {
                let code = if let Operation::Error(code) = operation { *code } else { 0 };
                body.int(kind_of(operation)).bool(false).int(code);
                changed(data, operation, body);
            }
            body.int(-1).bool(true).int(-1);
        }
        Operation::Error(code) => {
            body.int(*code);
        }
        Operation::Delete { .. }
        | Operation::Check { .. }
        | Operation::CreateSession { .. }
        | Operation::CloseSession => {}
    }
}

/// The number of an operation.
pub(super) fn kind_of(operation: &Operation) -> i32 {
    match operation {
        Operation::Create { .. } => op::CREATE,
        Operation::SetData { .. } => op::SET_DATA,
        Operation::Delete { .. } => op::DELETE,
        Operation::SetAcl { .. } => op::SET_ACL,
        Operation::Check { .. } => op::CHECK,
        Operation::CreateSession { .. } => op::CREATE_SESSION,
        Operation::CloseSession => op::CLOSE_SESSION,
        Operation::Multi(_) => op::MULTI,
        Operation::Error(_) => op::ERROR,
    }
}

fn write_stat(data: &Data, path: &str, body: &mut Writer) {
    if let Some(node) = data.nodes.get(path) {
        body.stat(node, data.nodes.child_count(path));
    }
}

/// Writes the answer to a question.
pub(super) fn ask(
    data: &Data,
    question: Question,
    path: &str,
    who: &[Identity],
    body: &mut Writer,
) -> Result<(), Code> {
    let found = node(data, path)?;
    match question {
        Question::Exists => {}
        Question::Data => {
            permit(found, acl::READ, who)?;
            body.buffer(&found.data);
        }
        Question::Acl => {
            permit(found, acl::READ | acl::ADMIN, who)?;
            let list = found.access();
            let whole = acl::allows(&found.acl, acl::ADMIN, who);
            body.acl(&if whole { list } else { acl::masked(list) });
        }
        Question::Children | Question::ChildrenAndStat => {
            permit(found, acl::READ, who)?;
            body.strings(data.nodes.child_count(path), data.nodes.children(path));
        }
    }
    if question != Question::Children {
        write_stat(data, path, body);
    }
    Ok(())
}
