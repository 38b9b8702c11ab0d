//! Lists: filter, order, pages.

use super::Document;
use super::failure::Failure;
use crate::api::Request;
use regex::Regex;
use serde_json::Value;
use std::borrow::Cow;

/// One page of a list, and the token of the next.
pub(super) struct Page {
    pub(super) items: Vec<Document>,
    pub(super) next: Option<String>,
}

/// The page of `documents` that the request's `filter`, `orderBy`, `maxResults` and `pageToken` ask for.
///
/// # Errors
/// When one of them is not understood.
pub(super) fn page(mut documents: Vec<Cow<'_, Document>>, request: &Request) -> Result<Page, Failure> {
    if let Some(text) = request.query("filter").filter(|text| !text.trim().is_empty()) {
        let filter = Filter::parse(text)?;
        documents.retain(|document| filter.accepts(document));
    }
    match request.query("orderBy") {
        None | Some("" | "name") => {}
        Some("creationTimestamp desc") => {
            documents.sort_by_key(|document| std::cmp::Reverse(created(document)));
        }
        Some(other) => return Err(Failure::invalid("orderBy", other, "Invalid list sort order.")),
    }
    let most = match request.query("maxResults") {
        None => 500,
        Some(text) => match text.parse::<usize>() {
            Ok(0) => 500,
            Ok(number @ 1..=500) => number,
            _ => return Err(Failure::invalid("maxResults", text, "Must be between 0 and 500, inclusive.")),
        },
    };
    let start = match request.query("pageToken").filter(|token| !token.is_empty()) {
        None => 0,
        Some(token) => token
            .strip_prefix("after-")
            .and_then(|number| number.parse::<usize>().ok())
            .ok_or_else(|| Failure::invalid("pageToken", token, "The page token is invalid."))?,
    };
    let next = (documents.len() > start.saturating_add(most)).then(|| format!("after-{}", start + most));
    let items = documents.into_iter().skip(start).take(most).map(Cow::into_owned).collect();
    Ok(Page { items, next })
}

fn created(document: &Document) -> String {
    document
        .get("creationTimestamp")
        .or_else(|| document.get("insertTime"))
        .and_then(Value::as_str)
        .unwrap_or("")
        .to_owned()
}

/// A filter expression: comparisons joined by `AND`, `OR`, `NOT`, parentheses; side by side means `AND`.
#[derive(Debug)]
enum Filter {
    All(Vec<Filter>),
    Any(Vec<Filter>),
    Not(Box<Filter>),
    Compare { field: Vec<String>, test: Test },
}

#[derive(Debug)]
enum Test {
    Equals(String),
    Differs(String),
    Matches(Regex),
    MatchesNot(Regex),
    /// `:`, a field that contains the word; `:*`, a field that is there.
    Has(String),
}

impl Filter {
    fn parse(text: &str) -> Result<Self, Failure> {
        let tokens = tokens(text);
        let mut rest = tokens.as_slice();
        let filter = parse_any(&mut rest).filter(|_| rest.is_empty());
        filter.ok_or_else(|| Failure::invalid("filter", text, "Invalid list filter expression."))
    }

    fn accepts(&self, document: &Document) -> bool {
        match self {
            Self::All(parts) => parts.iter().all(|part| part.accepts(document)),
            Self::Any(parts) => parts.iter().any(|part| part.accepts(document)),
            Self::Not(part) => !part.accepts(document),
            Self::Compare { field, test } => test.accepts(look_up(document, field)),
        }
    }
}

impl Test {
    fn accepts(&self, value: Option<String>) -> bool {
        match self {
            Self::Equals(wanted) => value.as_deref() == Some(wanted),
            Self::Differs(wanted) => value.as_deref() != Some(wanted),
            Self::Matches(pattern) => value.is_some_and(|value| pattern.is_match(&value)),
            Self::MatchesNot(pattern) => !value.is_some_and(|value| pattern.is_match(&value)),
            Self::Has(word) => value.is_some_and(|value| word == "*" || value.contains(word.as_str())),
        }
    }
}

/// The field as text, `labels.key` and the like included.
fn look_up(document: &Document, field: &[String]) -> Option<String> {
    let (first, rest) = field.split_first()?;
    let mut value = document.get(first)?;
    let mut rest = rest.iter();
    while let Some(name) = rest.next() {
        // A label's key may itself contain dots.
        let whole = std::iter::once(name).chain(rest.as_slice()).cloned().collect::<Vec<_>>().join(".");
        match value.get(&whole) {
            Some(found) => return Some(text_of(found)),
            None => value = value.get(name)?,
        }
    }
    Some(text_of(value))
}

fn text_of(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
            value.to_string()
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    Open,
    Close,
    /// `=`, `!=`, `:`
    Operator(&'static str),
    Word(String),
    Quoted(String),
}

fn tokens(text: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let (token, used) = match first {
            '(' => (Token::Open, 1),
            ')' => (Token::Close, 1),
            '=' => (Token::Operator("="), 1),
            ':' => (Token::Operator(":"), 1),
            '!' if rest.starts_with("!=") => (Token::Operator("!="), 2),
            '"' | '\'' => quoted(rest, first),
            _ => {
                let end =
                    rest.find(|c: char| c.is_whitespace() || "()=:!\"'".contains(c)).unwrap_or(rest.len());
                let end = end.max(first.len_utf8());
                (Token::Word(rest.get(..end).unwrap_or("").to_owned()), end)
            }
        };
        tokens.push(token);
        rest = rest.get(used..).unwrap_or("").trim_start();
    }
    tokens
}

fn quoted(text: &str, quote: char) -> (Token, usize) {
    let (mut out, mut escaped) = (String::new(), false);
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => {
                // Patterns keep their own escapes.
                if c != quote && c != '\\' {
                    out.push('\\');
                }
                out.push(c);
                escaped = false;
            }
            '\\' => escaped = true,
            _ if c == quote => return (Token::Quoted(out), at + c.len_utf8()),
            _ => out.push(c),
        }
    }
    (Token::Quoted(out), text.len())
}

fn keyword(tokens: &mut &[Token], word: &str) -> bool {
    match tokens.split_first() {
        Some((Token::Word(found), rest)) if found == word => {
            *tokens = rest;
            true
        }
        _ => false,
    }
}

fn parse_any(tokens: &mut &[Token]) -> Option<Filter> {
    let mut parts = vec![parse_all(tokens)?];
    while keyword(tokens, "OR") {
        parts.push(parse_all(tokens)?);
    }
    if parts.len() == 1 { parts.pop() } else { Some(Filter::Any(parts)) }
}

fn parse_all(tokens: &mut &[Token]) -> Option<Filter> {
    let mut parts = vec![parse_one(tokens)?];
    loop {
        let and = keyword(tokens, "AND");
        let ends = match tokens.first() {
            None | Some(Token::Close) => true,
            Some(Token::Word(word)) => word == "OR",
            Some(Token::Open | Token::Operator(_) | Token::Quoted(_)) => false,
        };
        if ends && !and {
            break;
        }
        parts.push(parse_one(tokens)?);
    }
    if parts.len() == 1 { parts.pop() } else { Some(Filter::All(parts)) }
}

fn parse_one(tokens: &mut &[Token]) -> Option<Filter> {
    if keyword(tokens, "NOT") {
        return Some(Filter::Not(Box::new(parse_one(tokens)?)));
    }
    let (first, rest) = tokens.split_first()?;
    *tokens = rest;
    match first {
        Token::Open => {
            let inside = parse_any(tokens)?;
            let (close, rest) = tokens.split_first()?;
            *tokens = rest;
            (*close == Token::Close).then_some(inside)
        }
        Token::Word(field) => parse_comparison(field, tokens),
        Token::Close | Token::Operator(_) | Token::Quoted(_) => None,
    }
}

fn parse_comparison(field: &str, tokens: &mut &[Token]) -> Option<Filter> {
    let (operator, rest) = tokens.split_first()?;
    let (value, rest) = rest.split_first()?;
    *tokens = rest;
    let (Token::Word(value) | Token::Quoted(value)) = value else { return None };
    let pattern = || Regex::new(&format!("^(?:{value})$")).ok();
    let test = match operator {
        Token::Operator("=") => Test::Equals(value.clone()),
        Token::Operator("!=") => Test::Differs(value.clone()),
        Token::Operator(_) => Test::Has(value.clone()),
        Token::Word(word) if word == "eq" => Test::Matches(pattern()?),
        Token::Word(word) if word == "ne" => Test::MatchesNot(pattern()?),
        Token::Word(_) | Token::Open | Token::Close | Token::Quoted(_) => return None,
    };
    let field = field.split('.').map(str::to_owned).collect();
    Some(Filter::Compare { field, test })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn accepts(filter: &str) -> bool {
        let Value::Object(document) = json!({
            "name": "files", "zone": "https://x/zones/us-east1-d", "status": "RUNNING",
            "labels": {"zkprov.dev/ensemble": "exhibitor", "tier": "one"}, "deletionProtection": false,
        }) else {
            unreachable!()
        };
        Filter::parse(filter).unwrap().accepts(&document)
    }

    #[test]
    fn filters_accept_and_refuse() {
        for (filter, expected) in [
            ("name = files", true),
            ("name=\"files\"", true),
            ("name = file", false),
            ("name != file", true),
            ("name eq \".*(^files$).*\"", true),
            ("name eq fil", false),
            ("(name eq 'fil.*') (zone eq \".*us-east1-d\")", true),
            ("(name eq 'fil.*') (zone eq \".*us-east1-c\")", false),
            ("labels.tier = one AND status = RUNNING", true),
            ("labels.zkprov.dev/ensemble = exhibitor", true),
            ("labels.none = x OR status = RUNNING", true),
            ("NOT status = RUNNING", false),
            ("labels.tier:*", true),
            ("labels.none:*", false),
            ("status ne RUNNING", false),
            ("deletionProtection = false", true),
        ] {
            assert_eq!(accepts(filter), expected, "{filter}");
        }
    }

    #[test]
    fn broken_filters_are_refused() {
        for filter in
            ["name", "name =", "= x", "(name = x", "name = x)", "name eq \"(\"", "AND", "name = x AND"]
        {
            assert!(Filter::parse(filter).is_err(), "{filter}");
        }
    }

    #[test]
    fn pages_follow_each_other() {
        let documents: Vec<Cow<'_, Document>> = (0..5)
            .map(|n| Cow::Owned([("name".to_owned(), Value::from(format!("n{n}")))].into_iter().collect()))
            .collect();
        let ask = |token: &str| Request {
            service: crate::api::Service::Compute,
            method: "GET".into(),
            path: "/".into(),
            query: vec![("maxResults".into(), "2".into()), ("pageToken".into(), token.into())],
            headers: vec![],
            body: vec![],
        };
        let (mut token, mut names) = (String::new(), Vec::new());
        loop {
            let page = page(documents.clone(), &ask(&token)).unwrap();
            names.extend(page.items.iter().map(|item| text_of(&item["name"])));
            match page.next {
                Some(next) => token = next,
                None => break,
            }
        }
        assert_eq!(names, ["n0", "n1", "n2", "n3", "n4"]);
        assert!(page(documents, &ask("x")).is_err());
    }
}
